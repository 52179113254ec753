//! Consents for payments that need the till's signature alone: each payer shows a code first.
//!
//! Owns: opening one for each payer, at the till that asks later.
//! Promises: all are open when the first payment is asked for; nothing of this is measured.
//! Refuses to know: how long they last. Who measures for longer than that sees refusals, and they are counted.

use super::client::Connection;
use super::work::Orders;
use crate::types::ConsentId;
use std::sync::Arc;
use tokio::runtime::Runtime;

/// Connections that open them.
const CONNECTIONS: u64 = 64;

/// Opens a consent for each payer, in their order.
pub(super) fn open(runtime: &Runtime, orders: &Arc<Orders>) -> Result<Vec<ConsentId>, String> {
    let payers = if orders.hot { 1 } else { orders.payers };
    let share = |from: u64| {
        let orders = orders.clone();
        async move {
            let mut connection = Connection::open(orders.place.address).await.map_err(|e| e.to_string())?;
            let mut opened = vec![];
            for i in (from..payers).step_by(CONNECTIONS as usize) {
                let reply = connection.ask(&orders.show(i)).await.map_err(|e| e.to_string())?;
                let body = || String::from_utf8_lossy(&connection.body(&reply)).into_owned();
                let seq = reply.seq.filter(|_| reply.status == 201).ok_or_else(body)?;
                opened.push((i, ConsentId { seq, part: 0 }));
            }
            Ok::<_, String>(opened)
        }
    };
    runtime.block_on(async {
        let tasks: Vec<_> = (0..CONNECTIONS).map(|from| tokio::spawn(share(from))).collect();
        let mut all = vec![];
        for task in tasks {
            all.extend(task.await.map_err(|e| e.to_string())??);
        }
        all.sort_unstable();
        Ok(all.into_iter().map(|(_, consent)| consent).collect())
    })
}

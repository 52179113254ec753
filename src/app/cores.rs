//! All cores at once, for work that is in no order.
//!
//! Owns: the threads that it takes. Promises: what comes out stands in the order of what went in; a panic of one is
//! the caller's. Refuses to know: what is done.

/// Does work in pieces on all cores and puts what comes out in order again.
pub(super) fn spread<T: Send, R: Send>(mut items: Vec<T>, work: impl Fn(Vec<T>) -> Vec<R> + Sync) -> Vec<R> {
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    let piece = items.len().div_ceil(threads).max(1);
    std::thread::scope(|scope| {
        let mut running = vec![];
        while !items.is_empty() {
            let some = items.drain(..piece.min(items.len())).collect();
            running.push(scope.spawn(|| work(some)));
        }
        let done = running.into_iter().flat_map(|thread| match thread.join() {
            Ok(done) => done,
            Err(panic) => std::panic::resume_unwind(panic),
        });
        done.collect()
    })
}

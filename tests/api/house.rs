//! The house's own account: what stands in one node's configuration, and what people signed for.

use super::*;
use crate::common::funds::caller;
use tallyhouse::clearing::{ConfirmDetails, SetDetails};

#[test]
fn the_houses_account_is_the_one_that_people_signed_for() {
    for (iban, fits) in [(HOUSE, true), (IBANS[0], false)] {
        let office = Office::open(true);
        office.keep();
        let notices = || office.get("/v1/cycles/1/notices/EUR");
        let signed = || notices().expect(200)["items"][0]["signed"].clone();
        assert_eq!(signed(), json!(false), "one node's configuration says it");
        let (participant, currency) = (office.server.world.operator.clone(), eur());
        let details =
            json!({"participant": participant, "currency": "EUR", "name": "The House", "iban": iban});
        let salted = json!({"salt": b64(&[9; 32]), "details": details});
        let commitment =
            serde_json::from_value::<SaltedDetails>(salted.clone()).expect("details").commitment();
        let set = SetDetails { participant, currency, version: 1, commitment, settlement: true };
        let path = "/v1/bank-details";
        let (analyst, approvers) = (&office.analyst, &office.approvers[..2]);
        let other = SetDetails { participant: id("pa_kino"), ..set.clone() };
        office.command(analyst, approvers, "details.set", path, &other).refused(422, "setting_invalid");
        office.command(analyst, &approvers[..1], "details.set", path, &set).refused(422, "people_missing");
        office.command(analyst, approvers, "details.set", path, &set).expect(201);
        assert_eq!(signed(), json!(false), "nobody confirmed it");
        let SetDetails { participant, currency, version, settlement, .. } = set;
        let confirm = ConfirmDetails { participant: participant.clone(), currency, version, settlement };
        let path = "/v1/bank-details/confirmations";
        let caller = caller(&office.server.world);
        let no = office.command(&caller, &[], "details.confirm", path, &confirm).refused(409, "not_ready");
        assert!(no["detail"].as_str().expect("why").contains("/v1/bank-details:keep"), "{no}");
        // On another way the log gets a commitment, and this node does not know to what.
        let world = &office.server.world;
        let first = world.command(&caller, &office.server.fresh("confirm"), "details.confirm", &confirm);
        let engine = office.server.service().engine();
        engine.ask(&tallyhouse::machine::Request::of(vec![first]), None).expect("nobody looks");
        engine.settle().expect("settled");
        let no = notices().refused(409, "not_ready");
        assert!(no["detail"].as_str().expect("why").contains("the vault does not have version 1"), "{no}");
        let keep = office.server.signed_post(
            analyst,
            "/v1/bank-details:keep",
            &office.server.fresh("keep"),
            &salted,
        );
        office.server.ask(&keep).expect(201);
        let shown = office.get(&format!("/v1/participants/{participant}/bank-details/EUR")).expect(200);
        assert_eq!(
            (&shown["items"][0]["settlement"], &shown["items"][0]["kept"]["details"]["iban"]),
            (&json!(true), &json!(iban))
        );
        let orders = || office.get("/v1/cycles/1/orders/EUR");
        if fits {
            assert_eq!((signed(), orders().expect(200)["signed"].clone()), (json!(true), json!(true)));
            continue;
        }
        for no in [notices(), orders()] {
            let no = no.refused(409, "not_ready");
            let why = no["detail"].as_str().expect("why");
            assert!(why.contains(iban) && why.contains(HOUSE) && why.contains("settlement_accounts"), "{no}");
        }
    }
}

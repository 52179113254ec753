//! Set-off: against the optimum found by trying everything, and against tampering.

use super::*;
use proptest::prelude::*;

fn pa(n: u8) -> ParticipantId {
    format!("pa_{n:03}").parse().expect("an id")
}

fn money(amount: u64) -> Money {
    Money::new(amount).expect("fits")
}

fn matrix(list: &[(u8, u8, i64)]) -> Matrix {
    let list: Vec<_> = list.iter().map(|(d, c, a)| (pa(*d), pa(*c), *a)).collect();
    Matrix::of(list.iter().map(|(d, c, a)| (d, c, *a))).expect("sound")
}

fn line(debtor: u8, creditor: u8, amount: u64) -> SetOffLine {
    SetOffLine { debtor: pa(debtor), creditor: pa(creditor), amount: money(amount) }
}

/// Two loops that share a debt: the long one saves more than the short one.
fn two_loops() -> Matrix {
    // 0→1→0 and 0→1→2→3→0 both need the one debt 0→1.
    matrix(&[(0, 1, 10), (1, 0, 10), (1, 2, 10), (2, 3, 10), (3, 0, 10)])
}

#[test]
fn the_long_loop_is_preferred_where_it_saves_more() {
    let off = set_off(&two_loops()).expect("solved");
    assert_eq!(off.lines, [line(0, 1, 10), line(1, 2, 10), line(2, 3, 10), line(3, 0, 10)]);
    assert_eq!(off.total(), 40, "cancelling the pair first would have struck out 20 and left 30");
    assert_eq!(check_set_off(&two_loops(), &off), Ok(()));
}

#[test]
fn nothing_owed_sets_nothing_off() {
    let nobody = matrix(&[]);
    assert_eq!(set_off(&nobody), Ok(SetOff::default()));
    assert_eq!(check_set_off(&nobody, &SetOff::default()), Ok(()));
    let chain = matrix(&[(0, 1, 5), (1, 2, 5)]);
    let off = set_off(&chain).expect("solved");
    assert_eq!((off.lines.len(), off.levels.len()), (0, 3));
    assert_eq!(check_set_off(&chain, &off), Ok(()));
}

/// Every way of tampering is found, each by its own name.
#[test]
fn tampering_is_found() {
    let m = matrix(&[(0, 1, 10), (1, 2, 6), (2, 0, 4), (2, 3, 7), (3, 1, 2), (0, 3, 1)]);
    let good = set_off(&m).expect("solved");
    assert_eq!(check_set_off(&m, &good), Ok(()));
    let check = |change: &dyn Fn(&mut SetOff)| {
        let mut bad = good.clone();
        change(&mut bad);
        assert!(bad != good, "the case changes something");
        check_set_off(&m, &bad).expect_err("it was tampered with")
    };
    let pair = |e: Unsound| e;
    let at = |off: &SetOff, d: u8, c: u8| {
        off.lines.iter().position(|l| (&l.debtor, &l.creditor) == (&pa(d), &pa(c))).expect("a line")
    };
    // More than is owed.
    let more = check(&|off| {
        let i = at(off, 0, 1);
        off.lines[i].amount = money(11);
    });
    assert_eq!(pair(more), Unsound::NotOwed { debtor: pa(0), creditor: pa(1) });
    // A debt that does not exist.
    let made_up = check(&|off| off.lines.insert(1, line(0, 2, 1)));
    assert_eq!(made_up, Unsound::NotOwed { debtor: pa(0), creditor: pa(2) });
    // A line of nothing.
    let nothing = check(&|off| {
        let i = at(off, 2, 0);
        off.lines[i].amount = money(0);
    });
    assert_eq!(nothing, Unsound::Nothing { debtor: pa(2), creditor: pa(0) });
    // One line alone changed: somebody's net is another. Levels that allow it do not help.
    let net = check(&|off| {
        let i = at(off, 0, 1);
        off.lines[i].amount = off.lines[i].amount.minus(money(1)).expect("fits");
    });
    assert!(matches!(net, Unsound::NetChanged(_) | Unsound::LoopLeft { .. }), "{net}");
    // The same line twice, or out of order.
    let twice = check(&|off| {
        let copy = off.lines[0].clone();
        off.lines.push(copy);
    });
    assert_eq!(twice, Unsound::Order { debtor: pa(0), creditor: pa(1) });
    assert!(matches!(check(&|off| off.lines.swap(0, 1)), Unsound::Order { .. } | Unsound::LoopLeft { .. }));
    // Levels: missing, of somebody else, too many.
    assert_eq!(check(&|off| drop(off.levels.pop())), Unsound::Level(pa(3)));
    assert_eq!(check(&|off| off.levels.swap(0, 1)), Unsound::Level(pa(0)));
    assert_eq!(check(&|off| off.levels.push(Level { participant: pa(9), level: 0 })), Unsound::Level(pa(9)));
    // Less than could be: a whole loop left out, whatever levels are claimed for it.
    let less = check(&|off| off.lines.clear());
    assert!(matches!(less, Unsound::LoopLeft { .. }), "{less}");
}

#[test]
fn a_greedy_set_off_is_not_passed_off_as_the_largest() {
    // Cancelling the pair is sound, leaves no loop, and is not the most.
    let m = two_loops();
    let lines = vec![line(0, 1, 10), line(1, 0, 10)];
    for levels in 0..4u32.pow(4) {
        let level = |n: u8| Level { participant: pa(n), level: (levels / 4u32.pow(n.into())) % 4 };
        let claimed = SetOff { lines: lines.clone(), levels: (0..4).map(level).collect() };
        let said = check_set_off(&m, &claimed).expect_err("no levels show that it is the most");
        assert!(matches!(said, Unsound::LoopLeft { .. } | Unsound::NotLeast { .. }), "{said}");
    }
}

/// The most that can be set off, found by trying every combination.
fn by_trying(debts: &[(u8, u8, u64)]) -> u64 {
    fn go(debts: &[(u8, u8, u64)], balance: &mut [i64; 4], off: u64) -> u64 {
        let Some((&(d, c, most), rest)) = debts.split_first() else {
            return if balance.iter().all(|b| *b == 0) { off } else { 0 };
        };
        let mut best = 0;
        for amount in 0..=most {
            balance[usize::from(d)] -= amount as i64;
            balance[usize::from(c)] += amount as i64;
            best = best.max(go(rest, balance, off + amount));
            balance[usize::from(d)] += amount as i64;
            balance[usize::from(c)] -= amount as i64;
        }
        best
    }
    go(debts, &mut [0; 4], 0)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn it_is_the_most_there_is(amounts in prop::collection::vec(0..3u64, 12)) {
        let pairs = (0..4u8).flat_map(|d| (0..4u8).filter(move |c| *c != d).map(move |c| (d, c)));
        let debts: Vec<_> =
            pairs.zip(amounts).filter(|(_, a)| *a > 0).map(|((d, c), a)| (d, c, a)).take(9).collect();
        let m = matrix(&debts.iter().map(|(d, c, a)| (*d, *c, *a as i64)).collect::<Vec<_>>());
        let off = set_off(&m).expect("solved");
        prop_assert_eq!(check_set_off(&m, &off), Ok(()));
        prop_assert_eq!(off.total(), u128::from(by_trying(&debts)));
    }

    #[test]
    fn large_ones_pass_their_check_and_changed_ones_do_not(
        list in prop::collection::vec((0..25u8, 0..25u8, 1..1_000_000_000i64), 1..200),
        which in 0..200usize,
        change in 1..1_000u64,
        up: bool,
    ) {
        let list: Vec<_> = list.into_iter().filter(|(d, c, _)| d != c).collect();
        let m = matrix(&list);
        let off = set_off(&m).expect("solved");
        prop_assert_eq!(check_set_off(&m, &off), Ok(()));
        prop_assert_eq!(&set_off(&m).expect("solved"), &off, "the same again");
        if !off.lines.is_empty() {
            let mut bad = off.clone();
            let at = which % bad.lines.len();
            let old = bad.lines[at].amount.get();
            let new = if up { old + change } else { old.saturating_sub(change) };
            bad.lines[at].amount = money(new);
            prop_assert!(check_set_off(&m, &bad).is_err());
            let mut gone = off.clone();
            gone.lines.remove(at);
            prop_assert!(check_set_off(&m, &gone).is_err());
        }
    }
}

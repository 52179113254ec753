//! How long netting takes at the sizes that the clearing house is built for.
//!
//! Owns: made-up obligations, drawn by a fixed seed: few participants have most of them, as among real shops.
//! Promises: 2,000 participants with 1,000,000 obligations for nets, figures and instructions; 300 participants
//! with 20,000 pairs for set-off and for its check.
//! Refuses to know: where obligations come from.

use criterion::{Criterion, criterion_group, criterion_main};
use std::collections::BTreeSet;
use std::hint::black_box;
use tallyhouse::clearing::{Matrix, Nets, check_set_off, instruct, set_off};
use tallyhouse::types::ParticipantId;

type Obligation = (ParticipantId, ParticipantId, i64);

/// xorshift64: the same numbers on every machine.
struct Chance(u64);

impl Chance {
    fn below(&mut self, n: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % n
    }

    /// Small numbers are drawn more often: the product of two draws.
    fn skewed(&mut self, n: u64) -> usize {
        (self.below(n) * self.below(n) / n) as usize
    }
}

fn parties(count: u64) -> Vec<ParticipantId> {
    (0..count).map(|n| format!("pa_shop-{n:05}").parse().expect("an id")).collect()
}

fn obligations(count: usize) -> Vec<Obligation> {
    let (parties, mut chance) = (parties(2_000), Chance(7));
    let mut out = vec![];
    while out.len() < count {
        let (debtor, creditor) = (chance.skewed(2_000), chance.skewed(2_000));
        if debtor != creditor {
            let amount = 100 + chance.below(5_000_000) as i64;
            out.push((parties[debtor].clone(), parties[creditor].clone(), amount));
        }
    }
    out
}

fn of(list: &[Obligation]) -> Matrix {
    Matrix::of(list.iter().map(|(debtor, creditor, amount)| (debtor, creditor, *amount))).expect("sound")
}

/// 20,000 of the 89,700 possible pairs.
fn pairs() -> Matrix {
    let (parties, mut chance) = (parties(300), Chance(11));
    let mut drawn = std::collections::BTreeMap::new();
    while drawn.len() < 20_000 {
        let (debtor, creditor) = (chance.below(300) as usize, chance.below(300) as usize);
        if debtor != creditor {
            drawn.insert((debtor, creditor), 1 + chance.below(100_000_000) as i64);
        }
    }
    let list: Vec<_> =
        drawn.into_iter().map(|((d, c), a)| (parties[d].clone(), parties[c].clone(), a)).collect();
    of(&list)
}

fn netting(c: &mut Criterion) {
    let list = obligations(1_000_000);
    let mut group = c.benchmark_group("netting");
    group.sample_size(10);
    group.bench_function("net 2,000 participants, 1,000,000 obligations", |b| {
        b.iter(|| {
            let matrix = of(black_box(&list));
            let nets = matrix.nets().expect("nets");
            (
                matrix.figures().expect("figures"),
                instruct(&nets, &Nets::new(), 100, &BTreeSet::new()).expect("rounded"),
            )
        });
    });
    let matrix = pairs();
    group.bench_function("set off 300 participants, 20,000 pairs", |b| {
        b.iter(|| set_off(black_box(&matrix)).expect("solved"));
    });
    let off = set_off(&matrix).expect("solved");
    group.bench_function("check that set-off", |b| {
        b.iter(|| check_set_off(black_box(&matrix), &off).expect("sound"));
    });
    let large = of(&list);
    group.bench_function("set off 2,000 participants, all their pairs", |b| {
        b.iter(|| set_off(black_box(&large)).expect("solved"));
    });
    group.finish();
    let owed: u128 = matrix.debts().map(|debt| u128::from(debt.amount.get())).sum();
    println!(
        "300 participants: {} of {owed} set off; the large one has {} pairs",
        off.total(),
        large.debts().count()
    );
}

criterion_group!(benches, netting);
criterion_main!(benches);

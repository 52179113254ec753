//! A cycle's documents: what each participant bills each other one, whatever is set off or netted afterwards.
//!
//! Owns: one document for each pair with obligations, gross, both ways apart; their numbers; the figures side by side as
//! a table.
//! Promises: numbers go on from the last cycle's without a gap, in the order of debtor and creditor; the documents' sum
//! is the gross figure.
//! Refuses to know: taxes, which stand on the obligations' own lines.

use super::netting::{Debt, Figure, Matrix};
use super::setoff::SetOff;
use super::wrong::Unsound;
use serde::{Deserialize, Serialize};

/// What one participant owes another for a cycle, gross.
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct CycleDocument {
    /// Its number: one more than that of the document before, across cycles.
    pub number: u64,
    /// Between whom, and how much.
    pub debt: Debt,
}

/// The documents of a cycle. `last` is the number of the last document of the cycle before; 0 before the first.
pub fn cycle_documents(matrix: &Matrix, last: u64) -> Result<Vec<CycleDocument>, Unsound> {
    let mut number = last;
    let mut next = |debt| {
        number = number.checked_add(1).ok_or(Unsound::Bug("document numbers end at 2^64"))?;
        Ok(CycleDocument { number, debt })
    };
    matrix.debts().map(&mut next).collect()
}

/// Ways of settling side by side, as a table for people: gross, bilateral, after set-off (if there is one) and
/// multilateral, with payments, value and what part of the gross value that is. `amount` writes an amount of the
/// currency's scale.
pub fn figures_table(
    matrix: &Matrix,
    set_off: Option<&SetOff>,
    amount: impl Fn(u64) -> String,
) -> Result<String, Unsound> {
    let figures = matrix.figures()?;
    let mut rows = vec![("gross", figures.gross), ("bilateral", figures.bilateral)];
    if let Some(set_off) = set_off {
        rows.push(("after set-off", after(matrix, set_off)?));
    }
    rows.push(("multilateral", figures.multilateral));
    let mut out = format!("{:<14}{:>10}{:>24}\n", "", "payments", "value");
    for (name, Figure { payments, value }) in rows {
        let share = percent(value, figures.gross.value);
        out.push_str(&format!("{name:<14}{payments:>10}{:>24}{share:>8}\n", amount(value)));
    }
    Ok(out)
}

/// What is left to pay after set-off.
fn after(matrix: &Matrix, set_off: &SetOff) -> Result<Figure, Unsound> {
    let left = super::instruct::remaining(matrix, set_off, 1)?;
    left.iter().try_fold(Figure::default(), |sum, one| {
        let payments = sum.payments.checked_add(1);
        let both = payments.zip(sum.value.checked_add(one.pays.get()));
        let (payments, value) = both.ok_or(Unsound::Bug("a figure above 64 bits"))?;
        Ok(Figure { payments, value })
    })
}

/// A part in percent with one decimal, rounded down.
fn percent(part: u64, of: u64) -> String {
    let permille = u128::from(part).checked_mul(1_000).and_then(|p| p.checked_div(u128::from(of)));
    permille.map_or(String::new(), |p| {
        format!("{}.{}%", p.checked_div(10).unwrap_or(0), p.checked_rem(10).unwrap_or(0))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clearing::set_off;
    use crate::types::ParticipantId;

    #[test]
    fn documents_are_gross_and_numbered_without_gaps() {
        let pa = |name: &str| format!("pa_{name}").parse::<ParticipantId>().expect("an id");
        let (a, b, c) = (pa("a"), pa("b"), pa("c"));
        let list = [(&b, &a, 300), (&a, &b, 1_000), (&b, &c, 800), (&c, &a, 900), (&a, &b, 200)];
        let matrix = Matrix::of(list).expect("sound");
        let documents = cycle_documents(&matrix, 41).expect("numbered");
        let told: Vec<(u64, String, u64, u64)> = documents
            .iter()
            .map(|d| {
                (
                    d.number,
                    format!("{} {}", d.debt.debtor, d.debt.creditor),
                    d.debt.amount.get(),
                    d.debt.count,
                )
            })
            .collect();
        assert_eq!(
            told,
            [
                (42, "pa_a pa_b".into(), 1_200, 2),
                (43, "pa_b pa_a".into(), 300, 1),
                (44, "pa_b pa_c".into(), 800, 1),
                (45, "pa_c pa_a".into(), 900, 1),
            ]
        );
        let off = set_off(&matrix).expect("solved");
        let table =
            figures_table(&matrix, Some(&off), |amount| format!("{}.{:02}", amount / 100, amount % 100));
        let expected = "\x20               payments                   value
gross                  5                   32.00  100.0%
bilateral              3                   26.00   81.2%
after set-off          2                    2.00    6.2%
multilateral           2                    1.00    3.1%
";
        assert_eq!(table.expect("a table"), expected);
    }
}

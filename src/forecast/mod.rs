//! What a gate will cost: the price of one more server start, the missing evidence of an undecided gate, and simulated gates. Pure.
//!
//! ```text
//! prices of evidence or ledger ─▶ UnitPrice ─┬─▶ BudgetMeter   may the next interim look be measured? (`gate --budget`)
//!        accepted runs ─▶ Machine ─▶ Gates ─┴─▶ Forecast      simulated gates of the trial that ships (`plan`)
//! ```

mod budget_meter;
mod draws;
mod gates;
mod report;
mod unit_price;

pub(crate) use budget_meter::{BudgetMeter, Missing, MissingEvidence};
pub(crate) use gates::{Gates, ServerStarts};
pub(crate) use report::{Forecast, Forecasts, forecasts_text};
pub(crate) use unit_price::UnitPrice;

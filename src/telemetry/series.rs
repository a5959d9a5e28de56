//! Columns of numbers over time, thinned to a limited size.

use std::collections::BTreeMap;

use super::gpu::Moment;
use crate::record::telemetry::SeriesName;

/// Points kept; a chart in a report is not wider.
const LONGEST: usize = 400;

/// Columns with one entry per moment; `null` for a missing one.
#[derive(Debug)]
pub(super) struct Series {
    /// One of how many moments is kept.
    stride: usize,
    seen: usize,
    rows: Vec<Row>,
}

/// One moment: seconds since the start, and values in base units.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Row {
    pub(super) time: f64,
    pub(super) gpus: Moment,
    pub(super) running: Option<f64>,
    pub(super) waiting: Option<f64>,
    pub(super) kv_cache_usage: Option<f64>,
}

impl Default for Series {
    fn default() -> Self {
        Self {
            stride: 1,
            seen: 0,
            rows: Vec::new(),
        }
    }
}

impl Series {
    /// Takes a moment. When there are too many, every second one is dropped, from here on too.
    pub(super) fn push(&mut self, row: Row) {
        if self.seen.is_multiple_of(self.stride) {
            if self.rows.len() == LONGEST {
                let mut index = 0;
                self.rows.retain(|_| {
                    index += 1;
                    index % 2 == 1
                });
                self.stride *= 2;
            }
            self.rows.push(row);
        }
        self.seen += 1;
    }

    /// The columns; a column without values is left out.
    pub(super) fn into_columns(self) -> BTreeMap<SeriesName, Vec<Option<f64>>> {
        type Column = fn(&Row) -> Option<f64>;
        let columns: [(SeriesName, Column); 9] = [
            (SeriesName::Time, |row| Some(row.time)),
            (SeriesName::GpuMemory, |row| row.gpus.memory),
            (SeriesName::GpuUtilization, |row| row.gpus.utilization),
            (SeriesName::GpuClockSm, |row| row.gpus.clock_sm),
            (SeriesName::GpuPower, |row| row.gpus.power),
            (SeriesName::GpuTemperature, |row| row.gpus.temperature),
            (SeriesName::Running, |row| row.running),
            (SeriesName::Waiting, |row| row.waiting),
            (SeriesName::KvCacheUsage, |row| row.kv_cache_usage),
        ];
        let columns = columns.map(|(quantity, column)| {
            let finite = |row| column(row).filter(|value| value.is_finite());
            (quantity, self.rows.iter().map(finite).collect::<Vec<_>>())
        });
        columns
            .into_iter()
            .filter(|(_, values)| values.iter().any(Option::is_some))
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_stays_small_and_even() {
        let mut series = Series::default();
        for second in 0..5000_u32 {
            series.push(Row {
                time: f64::from(second),
                ..Row::default()
            });
        }
        let columns = series.into_columns();
        let time = &columns[&SeriesName::Time];
        assert!(time.len() <= LONGEST && time.len() > LONGEST / 4);
        let gaps: Vec<f64> = time
            .windows(2)
            .map(|pair| pair[1].unwrap() - pair[0].unwrap())
            .collect();
        assert!(gaps.iter().all(|gap| (gap - gaps[0]).abs() < 1e-9));
    }

    #[test]
    fn a_column_without_any_value_is_left_out() {
        let mut series = Series::default();
        series.push(Row {
            running: Some(3.0),
            ..Row::default()
        });
        series.push(Row {
            time: 1.0,
            running: None,
            waiting: Some(f64::NAN),
            ..Row::default()
        });
        let columns: Vec<_> = series.into_columns().into_iter().collect();
        assert_eq!(
            columns,
            [
                (SeriesName::Time, vec![Some(0.0), Some(1.0)]),
                (SeriesName::Running, vec![Some(3.0), None]),
            ]
        );
    }
}

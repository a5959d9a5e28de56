//! A grid that grows until the server is saturated.

/// If doubling the load adds less than this share to the throughput, the server is saturated: a server with free capacity nearly
/// doubles it.
const LEAST_GAIN: f64 = 0.05;

/// What to do after the loads measured so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Growth {
    /// Measure this load.
    Next(f64),
    /// Throughput no longer grows: this load had less than 5 % more than the best load before.
    Saturated(f64),
    /// This is the highest load that may be tried, and throughput still grew.
    Bounded(f64),
    /// No request of this load succeeded.
    Failed(f64),
}

/// The next load of a geometric grid from `start` to `most`. `measured` has each load in the order of measuring with its
/// throughput, `None` where nothing succeeded.
pub fn grow(start: f64, most: f64, measured: &[(f64, Option<f64>)]) -> Growth {
    let Some(((load, throughput), before)) = measured.split_last() else {
        return Growth::Next(start.min(most));
    };
    let Some(throughput) = throughput else {
        return Growth::Failed(*load);
    };
    let best = before
        .iter()
        .filter_map(|(_, known)| *known)
        .max_by(f64::total_cmp);
    if best.is_some_and(|best| *throughput < best * (1.0 + LEAST_GAIN)) {
        return Growth::Saturated(*load);
    }
    if *load >= most {
        return Growth::Bounded(*load);
    }
    Growth::Next((load * 2.0).min(most))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Every load that is measured on a server with this throughput, and the end of the search.
    fn run(most: f64, throughput: impl Fn(f64) -> Option<f64>) -> (Vec<f64>, Growth) {
        let mut measured = Vec::new();
        loop {
            let step = grow(1.0, most, &measured);
            let Growth::Next(load) = step else {
                return (measured.into_iter().map(|(load, _)| load).collect(), step);
            };
            measured.push((load, throughput(load)));
        }
    }

    #[test]
    fn the_grid_doubles_until_the_server_is_saturated() {
        // 20 requests are served at once.
        let (loads, end) = run(1024.0, |load| Some(100.0 * load.min(20.0)));
        assert_eq!(loads, [1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0]);
        assert_eq!(end, Growth::Saturated(64.0));
    }

    #[test]
    fn the_grid_ends_at_its_bound_and_where_nothing_succeeds() {
        assert_eq!(
            run(6.0, Some),
            (vec![1.0, 2.0, 4.0, 6.0], Growth::Bounded(6.0))
        );
        let (loads, end) = run(64.0, |load| (load < 4.0).then_some(load));
        assert_eq!((loads, end), (vec![1.0, 2.0, 4.0], Growth::Failed(4.0)));
    }

    proptest! {
        #[test]
        fn any_throughput_ends_the_grid(values in prop::collection::vec(0.0_f64..1e4, 12)) {
            #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a small exponent")]
            let (loads, _) = run(1024.0, |load| Some(values[load.log2() as usize]));
            prop_assert!(loads.len() <= 11);
            prop_assert!(loads.windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}

//! The knee of throughput over latency: from there, more load adds waiting instead of throughput.

/// The smallest distance of a knee from the chord; below it the curve is nearly straight.
const LEAST_DISTANCE: f64 = 0.1;

/// The smallest span of loads, as a factor; a shorter piece of the curve has a bend that is not the knee.
const LEAST_SPAN: f64 = 8.0;

/// One load of a curve.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bend {
    /// Requests in flight or per second.
    pub load: f64,
    /// Median request latency in seconds.
    pub latency: f64,
    /// Output tokens per second.
    pub throughput: f64,
}

/// The point furthest above the chord from the first to the last one, both axes scaled to 0 to 1 (the
/// difference curve of Satopää et al. 2011, "Finding a 'Kneedle' in a Haystack", without smoothing: a sweep has few points
/// and each is a mean already), as its place in `points`.
///
/// `points` are in the order of rising load. Points after the highest throughput are left out: there more load adds
/// nothing. `None` where fewer than three are left, where they do not spread, where the loads span less than a factor of
/// eight, or where the curve is nearly straight.
pub fn knee(points: &[Bend]) -> Option<usize> {
    let highest = points
        .iter()
        .enumerate()
        .max_by(|(_, a), (_, b)| a.throughput.total_cmp(&b.throughput))?
        .0;
    let rising = &points[..=highest];
    let finite = |point: &Bend| point.latency.is_finite() && point.throughput.is_finite();
    if rising.len() < 3 || !rising.iter().all(finite) {
        return None;
    }
    let (first, last) = (rising[0], rising[highest]);
    if points.last()?.load < LEAST_SPAN * first.load {
        return None;
    }
    let width = last.latency - first.latency;
    let height = last.throughput - first.throughput;
    if width <= 0.0 || height <= 0.0 {
        return None;
    }
    let distance = |point: &Bend| {
        (point.throughput - first.throughput) / height - (point.latency - first.latency) / width
    };
    let (index, distance) = rising
        .iter()
        .map(distance)
        .enumerate()
        .max_by(|a, b| a.1.total_cmp(&b.1))?;
    (distance >= LEAST_DISTANCE).then_some(index)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn bends(points: &[(f64, f64, f64)]) -> Vec<Bend> {
        let bend = |&(load, latency, throughput): &(f64, f64, f64)| Bend {
            load,
            latency,
            throughput,
        };
        points.iter().map(bend).collect()
    }

    #[test]
    fn a_server_with_a_fixed_number_of_slots_has_its_knee_where_they_are_full() {
        // 20 slots of one second each: beyond, requests wait.
        let point = |load: f64| {
            (
                load,
                1.0 + (load - 20.0).max(0.0) / 20.0,
                load.min(20.0) + load * 1e-3,
            )
        };
        let points = [1.0, 2.0, 4.0, 8.0, 20.0, 32.0, 64.0].map(point);
        assert_eq!(knee(&bends(&points)), Some(4));
        // A piece of the curve has a bend that is not the knee.
        assert_eq!(knee(&bends(&points[3..6])), None);
    }

    #[test]
    fn a_straight_line_a_flat_one_and_two_points_have_no_knee() {
        let knee = |points: &[(f64, f64, f64)]| knee(&bends(points));
        assert_eq!(
            knee(&[(1.0, 1.0, 1.0), (4.0, 2.0, 2.0), (9.0, 3.0, 3.0)]),
            None
        );
        assert_eq!(
            knee(&[(1.0, 1.0, 2.0), (4.0, 2.0, 2.0), (9.0, 3.0, 2.0)]),
            None
        );
        assert_eq!(knee(&[(1.0, 1.0, 1.0), (9.0, 2.0, 2.0)]), None);
        assert_eq!(knee(&[]), None);
        assert_eq!(
            knee(&[(1.0, 1.0, 1.0), (4.0, f64::NAN, 2.0), (9.0, 3.0, 3.0)]),
            None
        );
    }

    proptest! {
        #[test]
        fn the_knee_does_not_change_with_the_units_and_lies_between_the_ends(
            points in prop::collection::vec((0.001_f64..10.0, 1.0_f64..1e4), 0..12), x in 0.001_f64..1e3, y in 0.001_f64..1e3
        ) {
            let scaled = |x: f64, y: f64| {
                let point = |(index, point): (usize, &(f64, f64))| Bend {
                    load: 2.0_f64.powi(i32::try_from(index).unwrap()),
                    latency: point.0 * x,
                    throughput: point.1 * y,
                };
                points.iter().enumerate().map(point).collect::<Vec<_>>()
            };
            let found = knee(&scaled(1.0, 1.0));
            prop_assert_eq!(found, knee(&scaled(x, y)));
            if let Some(found) = found {
                prop_assert!(found > 0 && found + 1 < points.len());
            }
        }
    }
}

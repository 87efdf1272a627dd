//! Replica-ratio canary: what comes nearest to a weight when there is no router, as Argo Rollouts computes it
//! (`utils/replicaset/canary.go`).

/// Canary and stable replicas for a weight.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Split {
    /// Replicas of the new version.
    pub canary: u32,
    /// Replicas of the stable one.
    pub stable: u32,
}

/// Whether one more replica than asked for may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Surge {
    /// Yes.
    Allowed,
    /// No.
    None,
}

/// The split of `replicas` that comes nearest to `weight` of `total_weight`; the first candidate wins on equality.
pub fn split(replicas: u32, weight: u32, total_weight: u32, surge: Surge) -> Split {
    if replicas == 0 || total_weight == 0 {
        return Split { canary: 0, stable: 0 };
    }
    let (r, w, total) = (u64::from(replicas), u64::from(weight.min(total_weight)), u64::from(total_weight));
    let (ceil, floor) = ((r * w).div_ceil(total), r * w / total);
    let zero_allowed = w == 0 || w == total || replicas == 1 && surge == Surge::None;
    let tied = |n: u64| 2 * ((n * w) % total) == total;
    let mut candidates = vec![];
    if ceil < r || zero_allowed {
        candidates.push((ceil, r));
    }
    let floor_allowed = floor != 0 || zero_allowed;
    if !tied(r) && floor_allowed {
        candidates.push((floor, r));
    }
    if surge == Surge::Allowed {
        candidates.push((ceil, r + 1));
        if !tied(r + 1) && floor_allowed {
            candidates.push((floor, r + 1));
        }
    }
    // |canary·W/n − w| compared without fractions: both sides times the product of the denominators.
    let off = |(canary, n): (u64, u64)| ((canary * total).abs_diff(w * n), n);
    let mut best: Option<(u64, u64)> = None;
    for candidate in candidates {
        let better = best.is_none_or(|best| {
            let ((a, an), (b, bn)) = (off(candidate), off(best));
            u128::from(a) * u128::from(bn) < u128::from(b) * u128::from(an)
        });
        if better {
            best = Some(candidate);
        }
    }
    let (canary, n) = best.unwrap_or((ceil, r));
    Split { canary: canary as u32, stable: (n - canary) as u32 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table() {
        let none = Surge::None;
        let surge = Surge::Allowed;
        for (r, w, surge, canary, stable) in [
            (0, 50, surge, 0, 0),
            (10, 0, surge, 0, 10),
            (10, 100, surge, 10, 0),
            (10, 10, none, 1, 9),
            (10, 15, none, 2, 8),
            (10, 14, none, 1, 9),
            (10, 1, none, 1, 9),
            (10, 99, none, 9, 1),
            (1, 0, none, 0, 1),
            (1, 10, none, 0, 1),
            (1, 60, none, 1, 0),
            (1, 10, surge, 1, 1),
            (1, 50, surge, 1, 1),
            (1, 100, surge, 1, 0),
            (4, 50, none, 2, 2),
            (3, 50, none, 2, 1),
            (3, 50, surge, 2, 2),
            (5, 50, surge, 3, 3),
            (10, 5, surge, 1, 10),
            (4, 20, surge, 1, 4),
            (7, 30, none, 2, 5),
        ] {
            assert_eq!(split(r, w, 100, surge), Split { canary, stable }, "{w} % of {r}, surge {surge:?}");
        }
        assert_eq!(split(10, 150, 1000, none), Split { canary: 2, stable: 8 });
    }
}

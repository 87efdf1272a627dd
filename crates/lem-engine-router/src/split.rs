//! Shares: which version a request gets by weight, and which bucket a sticky user falls into. Pure.

use crate::limits::STICKY_BUCKETS;

/// 2^64 divided by the golden ratio. Multiples of it fill the circle more evenly than any random
/// sequence, so a split is within a fraction of a point after a few hundred requests.
const GOLDEN_STEP: u64 = 0x9E37_79B9_7F4A_7C15;

/// Upper bounds of each version's arc on the circle of 2^64 points.
#[derive(Debug, Clone)]
pub(crate) struct Shares {
    bounds: Vec<u64>,
}

impl Shares {
    /// At least one weight is above zero.
    pub(crate) fn new(weights: &[u32]) -> Self {
        let total: u128 = weights.iter().map(|w| u128::from(*w)).sum();
        let mut sum = 0_u128;
        let bounds = weights
            .iter()
            .map(|weight| {
                sum += u128::from(*weight);
                // The last arc ends at 2^64 - 1: one point in 2^64 is lost to the comparison below.
                ((sum << 64) / total.max(1)).min(u128::from(u64::MAX)) as u64
            })
            .collect();
        Self { bounds }
    }

    /// The version of the `number`-th request.
    pub(crate) fn pick(&self, number: u64) -> usize {
        let point = number.wrapping_mul(GOLDEN_STEP);
        self.bounds.iter().position(|bound| point < *bound).unwrap_or_else(|| self.last_with_share())
    }

    fn last_with_share(&self) -> usize {
        let top = self.bounds.last().copied().unwrap_or(0);
        self.bounds.iter().position(|b| *b == top).unwrap_or(0)
    }
}

/// The bucket of a sticky key; the salt makes another tenth of the users the canary's in each release.
pub(crate) fn bucket(salt: u64, key: &[u8]) -> usize {
    (xxhash_rust::xxh3::xxh3_64_with_seed(key, salt) % STICKY_BUCKETS as u64) as usize
}

/// The salt of a release.
pub(crate) fn salt(release: &str) -> u64 {
    xxhash_rust::xxh3::xxh3_64(release.as_bytes())
}

/// How many buckets each weight stands for: largest remainders, the sum is always all buckets.
fn quotas(weights: &[u32]) -> Vec<usize> {
    let total: u64 = weights.iter().map(|w| u64::from(*w)).sum::<u64>().max(1);
    let exact = |w: &u32| u64::from(*w) * STICKY_BUCKETS as u64;
    let mut quotas: Vec<usize> = weights.iter().map(|w| (exact(w) / total) as usize).collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by_key(|at| std::cmp::Reverse(exact(&weights[*at]) % total));
    let missing = STICKY_BUCKETS - quotas.iter().sum::<usize>();
    for at in order.into_iter().cycle().take(missing) {
        quotas[at] += 1;
    }
    quotas
}

/// Who owns each bucket after a change of weights. `before` gives the owner of each bucket by its index
/// in the new plan, or nothing when that version is gone or this is the first plan of the release.
///
/// Only buckets above a version's quota change hands, so a version whose weight does not fall keeps
/// every user it has. The stable version (index 0) gives and the others return from opposite ends:
/// with two versions the result depends on the weights alone, not on the way there.
pub(crate) fn assign(weights: &[u32], before: Option<&[Option<u8>]>) -> Vec<u8> {
    let quotas = quotas(weights);
    let mut owners: Vec<Option<u8>> = match before {
        Some(before) => before.to_vec(),
        None => vec![Some(0); STICKY_BUCKETS],
    };
    let mut held = vec![0_usize; weights.len()];
    for owner in owners.iter().flatten() {
        held[usize::from(*owner)] += 1;
    }
    release_lowest(&mut owners, &mut held, &quotas);
    release_highest(&mut owners, &mut held, &quotas);
    let mut free = (0..STICKY_BUCKETS).filter(|at| owners[*at].is_none()).collect::<Vec<_>>();
    free.reverse();
    for version in (1..weights.len()).chain([0]) {
        while held[version] < quotas[version] {
            let Some(at) = free.pop() else { break };
            owners[at] = Some(version as u8);
            held[version] += 1;
        }
    }
    owners.into_iter().map(|owner| owner.unwrap_or(0)).collect()
}

fn release_lowest(owners: &mut [Option<u8>], held: &mut [usize], quotas: &[usize]) {
    for owner in owners.iter_mut() {
        if held[0] <= quotas[0] {
            return;
        }
        if *owner == Some(0) {
            *owner = None;
            held[0] -= 1;
        }
    }
}

fn release_highest(owners: &mut [Option<u8>], held: &mut [usize], quotas: &[usize]) {
    for owner in owners.iter_mut().rev() {
        let Some(version) = owner.map(usize::from) else {
            continue;
        };
        if version != 0 && held[version] > quotas[version] {
            *owner = None;
            held[version] -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(weights: &[u32], requests: u64) -> Vec<u64> {
        let shares = Shares::new(weights);
        let mut counts = vec![0; weights.len()];
        for number in 0..requests {
            counts[shares.pick(number)] += 1;
        }
        counts
    }

    #[test]
    fn a_thousand_requests_split_within_a_point() {
        for weights in [&[95, 5][..], &[50, 50], &[1, 2, 3], &[0, 7], &[3, 0], &[10, 20, 30, 40, 1], &[u32::MAX, 1]] {
            let total: f64 = weights.iter().map(|w| f64::from(*w)).sum();
            for (weight, count) in weights.iter().zip(counts(weights, 1000)) {
                let off = (count as f64 / 10.0 - f64::from(*weight) * 100.0 / total).abs();
                assert!(off <= 1.0, "{weights:?}: {count} for {weight}");
            }
        }
    }

    #[test]
    fn a_zero_weight_gets_nothing() {
        assert_eq!(counts(&[0, 1, 0], 100_000), [0, 100_000, 0]);
    }

    fn some(owners: &[u8]) -> Vec<Option<u8>> {
        owners.iter().map(|o| Some(*o)).collect()
    }

    #[test]
    fn a_rising_version_keeps_every_bucket() {
        let mut owners = assign(&[100, 0, 0], None);
        for step in 1..=25_u32 {
            let next = assign(&[100 - step * 4, step, step * 3], Some(&some(&owners)));
            for (old, new) in owners.iter().zip(&next) {
                assert!(*old == 0 || old == new, "a user flipped back at step {step}");
            }
            assert_eq!(next.iter().filter(|o| **o == 1).count(), step as usize * 100);
            owners = next;
        }
    }

    #[test]
    fn two_versions_depend_on_the_weights_alone() {
        let up = assign(&[70, 30], Some(&some(&assign(&[95, 5], None))));
        let down = assign(&[70, 30], Some(&some(&assign(&[40, 60], None))));
        assert_eq!(up, down);
        assert_eq!(up, assign(&[70, 30], None));
    }

    #[test]
    fn quotas_fill_all_buckets() {
        for weights in [&[1, 1, 1][..], &[1, 99_999], &[7, 11, 13, 17]] {
            assert_eq!(quotas(weights).iter().sum::<usize>(), STICKY_BUCKETS);
        }
    }
}

//! "Did you mean": the known word that is closest to an unknown one.

/// Longest word that is compared, in bytes; what is longer is no typing mistake.
const WORD_BYTES_MAX: usize = 64;

/// The known word closest to `word`: the same up to case and separators, or at most a third of its letters away.
#[must_use]
pub fn closest<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    if word.len() > WORD_BYTES_MAX {
        return None;
    }
    let plain_word = plain(word);
    let distance_max = plain_word.len().div_ceil(3);
    known
        .into_iter()
        .map(|candidate| (distance(&plain_word, &plain(candidate)), candidate))
        .filter(|(distance, candidate)| *distance <= distance_max && *distance < candidate.len())
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

fn plain(word: &str) -> Vec<u8> {
    word.bytes().filter(u8::is_ascii_alphanumeric).map(|byte| byte.to_ascii_lowercase()).collect()
}

/// Edits (insert, delete, replace, swap of neighbours) between two words: optimal string alignment.
fn distance(left: &[u8], right: &[u8]) -> usize {
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    let mut left_before = None;
    for (i, &a) in left.iter().enumerate() {
        let mut next = Vec::with_capacity(row.len());
        next.push(i + 1);
        let mut right_before = None;
        for (j, &b) in right.iter().enumerate() {
            let at = |cells: &[usize], index: usize| cells.get(index).copied().unwrap_or(usize::MAX - 1);
            let mut best = (at(&row, j) + usize::from(a != b)).min(at(&row, j + 1) + 1).min(at(&next, j) + 1);
            if j > 0 && left_before == Some(b) && right_before == Some(a) {
                best = best.min(at(&before, j - 1) + 1);
            }
            next.push(best);
            right_before = Some(b);
        }
        before = std::mem::replace(&mut row, next);
        left_before = Some(a);
    }
    row.last().copied().unwrap_or(usize::MAX)
}

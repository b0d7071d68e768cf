//! JSON pointers (RFC 6901), and the word somebody may have meant.

/// The pointer of `key` below `pointer`.
pub(crate) fn child(pointer: &str, key: &str) -> String {
    if key.contains(['~', '/']) {
        format!("{pointer}/{}", key.replace('~', "~0").replace('/', "~1"))
    } else {
        format!("{pointer}/{key}")
    }
}

/// The candidate that is a slip of the pen away from `word`, if there is one.
pub(crate) fn nearest<'c>(word: &str, candidates: impl IntoIterator<Item = &'c str>) -> Option<&'c str> {
    let allowed = match word.chars().count() {
        0..=2 => 0,
        3..=5 => 1,
        6..=9 => 2,
        _ => 3,
    };
    let distances = candidates.into_iter().filter(|one| one.len().abs_diff(word.len()) <= 3 && one.len() <= 128);
    distances.map(|one| (distance(word, one), one)).filter(|&(far, _)| far <= allowed).min().map(|(_, one)| one)
}

/// Letters to change, add, drop or swap with their neighbours, small and large letters alike.
fn distance(left: &str, right: &str) -> usize {
    let left: Vec<char> = left.to_lowercase().chars().collect();
    let right: Vec<char> = right.to_lowercase().chars().collect();
    let mut before: Vec<usize> = Vec::new();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (i, a) in left.iter().enumerate() {
        let mut next = vec![i + 1];
        for (j, b) in right.iter().enumerate() {
            let mut best = (row[j] + usize::from(a != b)).min(row[j + 1] + 1).min(next[j] + 1);
            if i > 0 && j > 0 && *a == right[j - 1] && left[i - 1] == *b {
                best = best.min(before[j - 1] + 1);
            }
            next.push(best);
        }
        before = std::mem::replace(&mut row, next);
    }
    row[right.len()]
}

#[cfg(test)]
mod tests {
    use super::{child, nearest};

    #[test]
    fn a_slip_is_recognised() {
        let fields = ["timeout", "title", "retry", "uses", "with", "undo"];
        for (word, meant) in [
            ("timout", Some("timeout")),
            ("tiemout", Some("timeout")),
            ("Title", Some("title")),
            ("use", Some("uses")),
            ("ux", None), // Two letters are too few to guess from.
            ("retires", Some("retry").filter(|_| false)),
            ("wiht", Some("with")),
            ("something", None),
        ] {
            assert_eq!(nearest(word, fields), meant, "{word}");
        }
    }

    #[test]
    fn pointers_are_escaped() {
        for (key, pointer) in [("a", "/n/a"), ("a/b", "/n/a~1b"), ("~", "/n/~0"), ("", "/n/")] {
            assert_eq!(child("/n", key), pointer);
        }
    }
}

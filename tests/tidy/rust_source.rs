//! Just enough of Rust's grammar to find functions: comments and literals blanked, braces matched.

/// One function with a body.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Function {
    pub(crate) name: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// From the signature's first line to the closing brace's, both counted.
    pub(crate) lines: usize,
}

/// The same text with the insides of comments, strings and characters as spaces. Line breaks stay.
pub(crate) fn blank(text: &str) -> String {
    let source: Vec<char> = text.chars().collect();
    let mut shown = source.clone();
    let mut at = 0;
    while at < source.len() {
        let end = literal_end(&source, at);
        for place in shown.iter_mut().take(end).skip(at) {
            if *place != '\n' {
                *place = ' ';
            }
        }
        at = end.max(at + 1);
    }
    shown.into_iter().collect()
}

/// Where the comment or literal that begins at `at` ends; `at` itself when none begins there.
fn literal_end(source: &[char], at: usize) -> usize {
    let next = source.get(at + 1).copied().unwrap_or_default();
    let inside_word = at > 0 && is_word(source[at - 1]);
    match source[at] {
        '/' if next == '/' => position(source, at, |rest| rest[0] == '\n'),
        '/' if next == '*' => block_comment_end(source, at),
        '"' => string_end(source, at + 1),
        'b' if next == '"' && !inside_word => string_end(source, at + 2),
        'r' | 'b' | 'c' if !inside_word => raw_string_end(source, at),
        '\'' => char_end(source, at),
        _ => at,
    }
}

fn position(source: &[char], from: usize, stop: impl Fn(&[char]) -> bool) -> usize {
    (from..source.len()).find(|&at| stop(&source[at..])).unwrap_or(source.len())
}

fn block_comment_end(source: &[char], from: usize) -> usize {
    let (mut depth, mut at) = (0, from);
    while at + 1 < source.len() {
        match (source[at], source[at + 1]) {
            ('/', '*') => depth += 1,
            ('*', '/') => depth -= 1,
            _ => {
                at += 1;
                continue;
            }
        }
        at += 2;
        if depth == 0 {
            return at;
        }
    }
    source.len()
}

fn string_end(source: &[char], from: usize) -> usize {
    let mut at = from;
    while at < source.len() && source[at] != '"' {
        at += if source[at] == '\\' { 2 } else { 1 };
    }
    (at + 1).min(source.len())
}

/// `r"…"`, `r#"…"#`, `br#"…"#`, `cr"…"`; `from` itself when it is none of these.
fn raw_string_end(source: &[char], from: usize) -> usize {
    let marker = if source[from] == 'r' { from } else { from + 1 };
    if source.get(marker) != Some(&'r') {
        return from;
    }
    let quote = position(source, marker + 1, |rest| rest[0] != '#');
    if source.get(quote) != Some(&'"') {
        return from;
    }
    let hashes = quote - marker - 1;
    let closes = |rest: &[char]| rest[0] == '"' && rest.iter().skip(1).take_while(|&&c| c == '#').count() >= hashes;
    (position(source, quote + 1, closes) + 1 + hashes).min(source.len())
}

/// A character, or `at` itself when the quote begins a lifetime.
fn char_end(source: &[char], at: usize) -> usize {
    match (source.get(at + 1), source.get(at + 2)) {
        (Some('\\'), _) => position(source, at + 3, |rest| rest[0] == '\'') + 1,
        (Some(_), Some('\'')) => at + 3,
        _ => at,
    }
}

fn is_word(letter: char) -> bool {
    letter.is_alphanumeric() || letter == '_'
}

/// Every function that has a body, nested ones too.
pub(crate) fn functions(text: &str) -> Vec<Function> {
    let source: Vec<char> = blank(text).chars().collect();
    let mut found = Vec::new();
    for at in 0..source.len() {
        let starts = source[at..].starts_with(&['f', 'n', ' ']) && (at == 0 || !is_word(source[at - 1]));
        if !starts {
            continue;
        }
        let name: String = source[at + 3..].iter().take_while(|&&letter| is_word(letter)).collect();
        if let (false, Some(end)) = (name.is_empty(), body_end(&source, at)) {
            let lines = source[at..end].iter().filter(|&&letter| letter == '\n').count() + 1;
            let line = source[..at].iter().filter(|&&letter| letter == '\n').count() + 1;
            found.push(Function { name, line, lines });
        }
    }
    found
}

/// One past the closing brace of the function whose `fn` is at `from`; `None` for a declaration.
fn body_end(source: &[char], from: usize) -> Option<usize> {
    let (mut brackets, mut braces) = (0_i32, 0_i32);
    for (at, letter) in source.iter().enumerate().skip(from) {
        match letter {
            '(' | '[' => brackets += 1,
            ')' | ']' => brackets -= 1,
            ';' if brackets == 0 && braces == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 && brackets == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[test]
fn literals_and_comments_are_blanked() {
    for (source, expected) in [
        (r#"a("{", '}') // {"#, "a(   ,    )     "),
        ("r#\"{\"}\"# x", "         x"),
        ("&'a str { 'b' }", "&'a str {     }"), // A lifetime stays.
        (r"'\'' x '\u{7d}' y", "     x          y"),
        ("/* { /* } */ { */ x", "                  x"),
        ("b\"{\\\"\" for", "       for"),
        ("bar r", "bar r"),
    ] {
        assert_eq!(blank(source), expected, "{source}");
    }
}

#[test]
fn functions_are_measured() {
    let source = "trait T { fn declared(&self); }\n\
                  fn one() {}\n\
                  type F = fn(u8) -> u8;\n\
                  fn long<F: Fn([u8; 2])>(f: F)\nwhere\n    F: Copy,\n{\n    let s = \"}\";\n    fn inner() {\n    }\n}\n";
    let found: Vec<(String, usize, usize)> =
        functions(source).into_iter().map(|function| (function.name, function.line, function.lines)).collect();
    let expected = [("one", 2, 1), ("long", 4, 8), ("inner", 9, 2)];
    assert_eq!(found, expected.map(|(name, line, lines)| (name.to_owned(), line, lines)));
}

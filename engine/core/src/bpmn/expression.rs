//! Expressions of JUEL (`${status == 'PAID'}`) and FEEL (`=status = "PAID"`) in ours.
//!
//! What has no counterpart (calls of beans, FEEL's lists and quantifiers) is left as it stands, and told: the checker
//! then says that it does not parse, and nobody takes it for translated.

/// Gives what stands for a variable, by its first name: `status` → `nodes.pay.status`.
pub(super) type Names<'n> = dyn FnMut(&str) -> String + 'n;

/// An expression of ours, or the reason why there is none.
pub(super) fn translated(text: &str, names: &mut Names<'_>) -> Result<String, String> {
    let text = text.trim();
    if let Some(feel) = text.strip_prefix('=') {
        return tokens(feel, true).and_then(|found| joined(&found, names));
    }
    match text.strip_prefix("${").or_else(|| text.strip_prefix("#{")).and_then(|rest| rest.strip_suffix('}')) {
        Some(juel) if !juel.contains("${") => tokens(juel, false).and_then(|found| joined(&found, names)),
        _ => Err(format!("`{text}` is no expression")),
    }
}

/// A value of a field: a text, or an expression with its `=`.
pub(super) fn value(text: &str, names: &mut Names<'_>) -> Result<String, String> {
    let text = text.trim();
    let is_expression = text.starts_with('=') || text.starts_with("${") || text.starts_with("#{");
    if !is_expression {
        if text.contains("${") {
            return Err(format!("`{text}` mixes text and expressions"));
        }
        return Ok(text.to_owned());
    }
    translated(text, names).map(|expression| format!("={expression}"))
}

#[derive(Debug, PartialEq)]
enum Token {
    /// A name with all that follows it by dots: `order.total`.
    Name(String),
    Text(String),
    /// A number or sign, as it is written in ours.
    Sign(String),
}

fn tokens(text: &str, feel: bool) -> Result<Vec<Token>, String> {
    let letters: Vec<char> = text.chars().collect();
    let (mut at, mut found) = (0, Vec::new());
    while let Some(&letter) = letters.get(at) {
        let take = |from: usize, fits: &dyn Fn(char) -> bool| {
            letters[from..].iter().take_while(|one| fits(**one)).collect::<String>()
        };
        if letter.is_whitespace() {
            at += 1;
        } else if letter.is_alphabetic() || letter == '_' {
            let name = take(at, &|one| one.is_alphanumeric() || one == '_' || one == '.');
            at += name.chars().count();
            if letters.get(at) == Some(&'(') && word(&name, feel).is_none() {
                return Err(format!("`{name}(…)` is a call, which has no counterpart"));
            }
            found.push(word(&name, feel).map_or(Token::Name(name), |sign| Token::Sign(sign.to_owned())));
        } else if letter.is_ascii_digit() {
            let number = take(at, &|one| one.is_ascii_digit() || one == '.');
            at += number.chars().count();
            found.push(Token::Sign(number));
        } else if letter == '\'' || letter == '"' {
            let inner = take(at + 1, &|one| one != letter);
            at += inner.chars().count() + 2;
            if inner.contains(['\'', '\\']) || at > letters.len() {
                return Err("a text with quotes in it".to_owned());
            }
            found.push(Token::Text(inner));
        } else {
            let (sign, length) = sign(&letters[at..], feel).ok_or_else(|| format!("`{letter}` has no counterpart"))?;
            at += length;
            found.push(Token::Sign(sign.to_owned()));
        }
    }
    Ok(found)
}

/// Words of the languages that are not names.
fn word(name: &str, feel: bool) -> Option<&'static str> {
    Some(match (name, feel) {
        ("true", _) => "true",
        ("false", _) => "false",
        ("null", _) => "null",
        ("and", _) => "and",
        ("or", _) => "or",
        ("not", _) => "not",
        ("empty", false) => "empty",
        ("eq", false) => "==",
        ("ne", false) => "!=",
        ("lt", false) => "<",
        ("gt", false) => ">",
        ("le", false) => "<=",
        ("ge", false) => ">=",
        ("mod", false) => "%",
        ("div", false) => "/",
        _ => return None,
    })
}

fn sign(rest: &[char], feel: bool) -> Option<(&'static str, usize)> {
    let two: String = rest.iter().take(2).collect();
    let double = match two.as_str() {
        "==" => Some("=="),
        "!=" => Some("!="),
        "<=" => Some("<="),
        ">=" => Some(">="),
        "&&" => Some("and"),
        "||" => Some("or"),
        _ => None,
    };
    if let Some(sign) = double {
        return Some((sign, 2));
    }
    let single = match rest.first()? {
        '=' if feel => "==",
        '!' => "not",
        '<' => "<",
        '>' => ">",
        '+' => "+",
        '-' => "-",
        '*' => "*",
        '/' => "/",
        '%' => "%",
        '(' => "(",
        ')' => ")",
        '?' if !feel => "?",
        ':' if !feel => ":",
        ',' => ",",
        _ => return None,
    };
    Some((single, 1))
}

fn joined(tokens: &[Token], names: &mut Names<'_>) -> Result<String, String> {
    let mut all = Vec::new();
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token {
            Token::Sign(sign) if sign == "empty" => {
                let Some(Token::Name(name)) = tokens.get(at + 1) else { return Err("`empty` of a value".to_owned()) };
                let name = named(name, names);
                all.push(format!("({name} == null or {name} == '')"));
                at += 1;
            }
            Token::Sign(sign) => all.push(sign.clone()),
            Token::Text(text) => all.push(format!("'{text}'")),
            Token::Name(name) => all.push(named(name, names)),
        }
        at += 1;
    }
    if all.is_empty() {
        return Err("an empty expression".to_owned());
    }
    Ok(all.join(" ").replace("( ", "(").replace(" )", ")").replace(" ,", ","))
}

fn named(path: &str, names: &mut Names<'_>) -> String {
    let (first, rest) = path.split_once('.').map_or((path, None), |(first, rest)| (first, Some(rest)));
    let stands = names(first);
    rest.map_or_else(|| stands.clone(), |rest| format!("{stands}.{rest}"))
}

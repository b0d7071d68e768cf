//! What is refused before the parser runs. ZEN's parser recurses with the text's nesting, and
//! reads an interval's brackets twice at every level, so both are limited by the tokens.
//!
//! Not here: what is refused by meaning, such as `rand` (`translate`).

use zen_expression::lexer::{ArithmeticOperator, Bracket, LogicalOperator, Operator, TemplateString, Token, TokenKind};

use super::ExprError;

/// Longest expression.
pub(crate) const SOURCE_BYTES_MAX: usize = 4096;
/// Most brackets open at one place.
const OPEN_BRACKETS_MAX: usize = 64;
/// Most brackets open at one place where an interval is written: the parser tries each bracket as
/// an interval first, so its work doubles with each level.
const OPEN_BRACKETS_WITH_RANGE_MAX: usize = 10;
/// Most operators. Each may make the tree one level deeper.
const OPERATORS_MAX: usize = 256;
/// Most operators that nest to the right: signs, `not`, `^`, `?`.
const NESTING_OPERATORS_MAX: usize = 64;

pub(super) fn length(source: &str) -> Result<(), ExprError> {
    if source.len() > SOURCE_BYTES_MAX {
        return Err(ExprError {
            code: "EXPRESSION_TOO_LONG",
            message: format!("expression of {} bytes; at most {SOURCE_BYTES_MAX} are read", source.len()),
            from: 0,
            to: source.len(),
        });
    }
    Ok(())
}

/// A bracket that is open.
struct Open {
    bracket: Bracket,
    /// Of a call; it may hold nothing.
    call: bool,
    /// `a[`; a slice may end it at once.
    index: bool,
    /// Conditions in it whose `:` is to come.
    conditions: usize,
}

impl Open {
    fn new(bracket: Bracket, as_operand: bool) -> Self {
        let call = !as_operand && bracket == Bracket::LeftParenthesis;
        let index = !as_operand && bracket == Bracket::LeftSquareBracket;
        Self { bracket, call, index, conditions: 0 }
    }
}

/// Looks at the tokens alone; nothing has been nested yet.
pub(super) fn tokens(tokens: &[Token<'_>]) -> Result<(), ExprError> {
    let has_range = tokens.iter().any(|token| token.kind == TokenKind::Operator(Operator::Range));
    let open_max = if has_range { OPEN_BRACKETS_WITH_RANGE_MAX } else { OPEN_BRACKETS_MAX };
    let mut open: Vec<Open> = Vec::new();
    // For empty brackets after which the parser, looking for an interval, reads all that follows again.
    let mut read_again = 0;
    let (mut operators, mut nesting) = (0, 0);
    // An interval may open with any bracket (`]1..5[`), so what a bracket does depends on whether
    // an operand may stand here.
    let mut operand_next = true;
    let mut just_opened = false;
    let mut just_sliced = false;
    for (at, token) in tokens.iter().enumerate() {
        let (opened_before, sliced_before) = (just_opened, just_sliced);
        (just_opened, just_sliced) = (false, false);
        match token.kind {
            TokenKind::Bracket(bracket) => {
                let last = open.last();
                let empty = opened_before && last.is_some_and(|last| closed_by(last.bracket) == Some(bracket));
                let nothing_asked = empty && last.is_some_and(|last| last.call);
                let slice = sliced_before && bracket == Bracket::RightSquareBracket;
                if empty && has_range && !nothing_asked {
                    read_again += read_again_after(&tokens[at + 1..]);
                }
                // Where there is no interval, none opens with a bracket that closes.
                let opens = !closes(bracket) || (operand_next && !empty && !slice && has_range);
                if opens {
                    open.push(Open::new(bracket, operand_next));
                } else if open.pop().is_none() {
                    return Err(refused(token, "EXPRESSION_SYNTAX", "this bracket closes nothing".into()));
                }
                (operand_next, just_opened) = (opens, opens);
            }
            TokenKind::TemplateString(TemplateString::ExpressionStart) => {
                open.push(Open::new(Bracket::LeftCurlyBracket, true));
                operand_next = true;
            }
            TokenKind::TemplateString(TemplateString::ExpressionEnd) => {
                open.pop();
                operand_next = false;
            }
            TokenKind::Operator(operator) => {
                operators += usize::from(!matches!(operator, Operator::Comma | Operator::Slice));
                nesting += usize::from(nests(operator) || operand_next);
                operand_next = true;
                if let Some(inner) = open.last_mut() {
                    let conditions = inner.conditions;
                    match operator {
                        Operator::QuestionMark => inner.conditions += 1,
                        Operator::Slice => inner.conditions = conditions.saturating_sub(1),
                        _ => {}
                    }
                    just_sliced = operator == Operator::Slice && inner.index && conditions == 0;
                }
            }
            _ => operand_next = false,
        }
        let over = if open.len() + read_again > open_max {
            format!("more than {open_max} brackets are open here")
        } else if operators > OPERATORS_MAX {
            format!("more than {OPERATORS_MAX} operators")
        } else if nesting > NESTING_OPERATORS_MAX {
            format!("more than {NESTING_OPERATORS_MAX} signs, negations, powers and conditions")
        } else {
            continue;
        };
        return Err(refused(token, "EXPRESSION_TOO_DEEP", over));
    }
    Ok(())
}

/// What an empty bracket before these tokens counts, as so many brackets that are open. The parser tries its end, and
/// each end that follows, as the beginning of an interval; where it finds no operand behind them, it stops at once.
fn read_again_after(rest: &[Token<'_>]) -> usize {
    let ends = rest.iter().take_while(|token| matches!(token.kind, TokenKind::Bracket(bracket) if closes(bracket)));
    let ends = ends.count();
    match rest.get(ends).map(|next| &next.kind) {
        None | Some(TokenKind::Operator(Operator::Comma | Operator::Slice)) => 0,
        Some(_) => 2 + ends,
    }
}

fn refused(token: &Token<'_>, code: &'static str, message: String) -> ExprError {
    ExprError { code, message, from: token.span.0 as usize, to: token.span.1 as usize }
}

fn closes(bracket: Bracket) -> bool {
    matches!(bracket, Bracket::RightParenthesis | Bracket::RightSquareBracket | Bracket::RightCurlyBracket)
}

fn closed_by(bracket: Bracket) -> Option<Bracket> {
    match bracket {
        Bracket::LeftParenthesis => Some(Bracket::RightParenthesis),
        Bracket::LeftSquareBracket => Some(Bracket::RightSquareBracket),
        Bracket::LeftCurlyBracket => Some(Bracket::RightCurlyBracket),
        _ => None,
    }
}

fn nests(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::QuestionMark
            | Operator::Logical(LogicalOperator::Not)
            | Operator::Arithmetic(ArithmeticOperator::Power)
    )
}

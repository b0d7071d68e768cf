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

/// Looks at the tokens alone; nothing has been nested yet.
pub(super) fn tokens(tokens: &[Token<'_>]) -> Result<(), ExprError> {
    let has_range = tokens.iter().any(|token| token.kind == TokenKind::Operator(Operator::Range));
    let open_max = if has_range { OPEN_BRACKETS_WITH_RANGE_MAX } else { OPEN_BRACKETS_MAX };
    let (mut open, mut operators, mut nesting) = (0_usize, 0, 0);
    // An interval may open with any bracket (`]1..5[`), so what a bracket does depends on whether
    // an operand may stand here.
    let mut operand_next = true;
    // The last token opened the arguments of a call, which may be none; an index may not.
    let mut just_called = false;
    for token in tokens {
        let mut called = false;
        match token.kind {
            TokenKind::Bracket(bracket) => {
                let none = just_called && bracket == Bracket::RightParenthesis;
                let empty = closes(bracket) && operand_next && (none || !has_range);
                let opens = !empty && (operand_next || !closes(bracket));
                called = opens && !operand_next && bracket == Bracket::LeftParenthesis;
                open = match (opens, open) {
                    (true, _) => open + 1,
                    (false, 0) => {
                        return Err(refused(token, "EXPRESSION_SYNTAX", "this bracket closes nothing".into()));
                    }
                    (false, _) => open - 1,
                };
                operand_next = opens;
            }
            TokenKind::TemplateString(TemplateString::ExpressionStart) => {
                open += 1;
                operand_next = true;
            }
            TokenKind::TemplateString(TemplateString::ExpressionEnd) => {
                open = open.saturating_sub(1);
                operand_next = false;
            }
            TokenKind::Operator(operator) => {
                operators += usize::from(!matches!(operator, Operator::Comma | Operator::Slice));
                nesting += usize::from(nests(operator) || operand_next);
                operand_next = true;
            }
            _ => operand_next = false,
        }
        just_called = called;
        let over = if open > open_max {
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

fn refused(token: &Token<'_>, code: &'static str, message: String) -> ExprError {
    ExprError { code, message, from: token.span.0 as usize, to: token.span.1 as usize }
}

fn closes(bracket: Bracket) -> bool {
    matches!(bracket, Bracket::RightParenthesis | Bracket::RightSquareBracket | Bracket::RightCurlyBracket)
}

fn nests(operator: Operator) -> bool {
    matches!(
        operator,
        Operator::QuestionMark
            | Operator::Logical(LogicalOperator::Not)
            | Operator::Arithmetic(ArithmeticOperator::Power)
    )
}

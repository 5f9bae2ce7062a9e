//! Errors of expressions.

pub const MAX_EXPRESSION_CHARS: usize = 1_000;

/// Why an expression is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExpressionError {
    #[error("the expression must have at most {MAX_EXPRESSION_CHARS} characters")]
    TooLong,
    #[error("line {line}, column {column}: {message}")]
    Syntax {
        /// Starts at 1.
        line: isize,
        /// Starts at 1.
        column: isize,
        message: String,
    },
    /// The expression contains a construct whose cost cannot be bounded.
    #[error("the expression must not contain {0}")]
    Unsupported(&'static str),
}

/// Why an evaluation has no result.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluationError {
    /// The evaluation consumed its fuel.
    #[error("the expression exceeds its evaluation budget for this data")]
    BudgetExceeded,
    /// The data do not fit the expression; for example, a field is missing.
    #[error("{0}")]
    Failed(String),
    /// The interpreter panicked.
    #[error("{0}")]
    Panicked(String),
}

impl EvaluationError {
    /// Whether the expression is at fault and not the data.
    #[must_use]
    pub const fn is_expression_fault(&self) -> bool {
        matches!(self, Self::BudgetExceeded | Self::Panicked(_))
    }
}

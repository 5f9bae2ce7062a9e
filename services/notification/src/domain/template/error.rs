//! Errors of templates.

use super::limits::MAX_TEMPLATE_CHARS;

/// Why a template is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TemplateError {
    #[error("the template must have at most {MAX_TEMPLATE_CHARS} characters")]
    TooLong,
    #[error("line {line}: {message}")]
    Syntax {
        /// Starts at 1.
        line: usize,
        message: String,
    },
    /// The template contains a construct whose cost cannot be bounded.
    #[error("the template must not contain {0}; templates support output, `for`, `if` and filters")]
    Unsupported(String),
}

/// Why rendering failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RenderError(pub(super) String);

//! Bounds of templates and of their output.

pub const MAX_TEMPLATE_CHARS: usize = 10_000;
pub(super) const MAX_OUTPUT_BYTES: usize = 65_536;

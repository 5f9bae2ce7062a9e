//! Background loops.

pub mod digest_worker;
pub mod dispatcher;
pub mod intake_writer;
pub mod log_dispatcher;
pub mod maintenance;
pub mod rule_disabler;
pub mod scheduler;

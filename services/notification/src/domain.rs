//! Decides: what is said to whom, and what follows from a provider's answer. No I/O.

pub mod arrival;
pub mod attempt;
pub mod backoff;
pub mod command;
pub mod decision;
pub mod notification;
pub mod phone;
pub mod target;
pub mod twilio;

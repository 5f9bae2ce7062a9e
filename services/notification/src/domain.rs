//! Decides: what is said to whom, and what follows from a provider's answer. No I/O.

pub mod arrival;
pub mod attempt;
pub mod backoff;
pub mod book;
pub mod breaker;
pub mod command;
pub mod condition;
pub mod decision;
pub mod event_pattern;
pub mod finding;
pub mod gate;
pub mod notification;
pub mod phone;
pub mod public_address;
pub mod quiet;
pub mod recipient;
pub mod rule;
pub mod sms;
pub mod smtp;
pub mod target;
pub mod template;
pub mod twilio;
pub mod vonage;
pub mod web_push;
pub mod webhook;
pub mod whom;

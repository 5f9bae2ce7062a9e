//! All SQL statements, one module per table. [`accept`] and [`queue`] contain the transactions that
//! span several tables.

pub mod accept;
pub mod attempt;
pub mod daily_usage;
pub mod dead_letter;
pub mod delivery;
pub mod digest;
pub mod endpoint;
pub mod erasure;
pub mod idempotency_key;
pub mod notification;
pub mod queue;
pub mod receipt;
pub mod recipient;
pub mod retention;
pub mod routing_table;
pub mod rule;
pub mod schedule;
pub mod suppression;
pub mod window_counter;

use sqlx::migrate::Migrator;

pub static MIGRATOR: Migrator = sqlx::migrate!("../../migrations/notification");

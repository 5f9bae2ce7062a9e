//! Identifies a visitor of a site.

use std::collections::HashMap;

use crate::domain::session::Session;

pub(in crate::store) type VisitorKey = (i32, String);

pub(in crate::store) type SessionsByVisitor = HashMap<VisitorKey, Vec<Session>>;

//! The table of counts and expected values.

use std::fmt;

/// Rows with a name, a count, and the expected count, if it is known.
#[derive(Default)]
pub struct ResultTable(Vec<(String, i64, Option<i64>)>);

impl ResultTable {
    pub fn count(&mut self, name: &str, count: i64) {
        self.0.push((name.into(), count, None));
    }

    pub fn expect(&mut self, name: &str, count: i64, wanted: i64) {
        self.0.push((name.into(), count, Some(wanted)));
    }

    pub fn is_ok(&self) -> bool {
        let mut lines = self.0.iter();
        lines.all(|(_, count, wanted)| wanted.is_none_or(|wanted| wanted == *count))
    }
}

impl fmt::Display for ResultTable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widest = self.0.iter().map(|(name, ..)| name.len()).max();
        let width = widest.unwrap_or_default();
        for (name, count, wanted) in &self.0 {
            write!(f, "{name:<width$}  {count:>8}")?;
            match wanted {
                Some(wanted) if wanted == count => writeln!(f, "  ok")?,
                Some(wanted) => writeln!(f, "  WRONG: expected {wanted}")?,
                None => writeln!(f)?,
            }
        }
        Ok(())
    }
}

//! Writes Parquet files one row group at a time, which bounds memory.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use chrono::DateTime;
use parquet::basic::{Compression, LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::column::writer::ColumnWriter;
use parquet::data_type::ByteArray;
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::SerializedFileWriter;
use parquet::schema::types::Type;
use serde_json::{Map, Value};

use super::columns::{ColumnType, EXPORT_COLUMNS};

/// Bytes that were written and not returned yet.
#[derive(Clone, Default)]
struct SharedBuffer(Arc<Mutex<Vec<u8>>>);

impl Write for SharedBuffer {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut written = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        written.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl SharedBuffer {
    fn take(&self) -> Vec<u8> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

pub(super) struct ParquetWriter {
    writer: SerializedFileWriter<SharedBuffer>,
    buffer: SharedBuffer,
}

impl ParquetWriter {
    pub(super) fn new() -> Result<Self, ParquetError> {
        let written = SharedBuffer::default();
        let properties = WriterProperties::builder()
            .set_compression(Compression::SNAPPY)
            .set_created_by("visitor-analytics".to_owned());
        let writer = SerializedFileWriter::new(
            written.clone(),
            Arc::new(schema()?),
            Arc::new(properties.build()),
        )?;
        Ok(Self {
            writer,
            buffer: written,
        })
    }

    /// Writes a row group.
    pub(super) fn write_row_group(
        &mut self,
        rows: &[Map<String, Value>],
    ) -> Result<Vec<u8>, ParquetError> {
        let mut group = self.writer.next_row_group()?;
        for (name, kind) in EXPORT_COLUMNS {
            let Some(mut column) = group.next_column()? else {
                break;
            };
            let values = rows
                .iter()
                .map(|row| row.get(name).filter(|v| !v.is_null()));
            write_column(column.untyped(), kind, values)?;
            column.close()?;
        }
        group.close()?;
        Ok(self.buffer.take())
    }

    pub(super) fn finish(self) -> Result<Vec<u8>, ParquetError> {
        self.writer.close()?;
        Ok(self.buffer.take())
    }
}

fn schema() -> Result<Type, ParquetError> {
    let columns = EXPORT_COLUMNS.into_iter().map(|(name, kind)| {
        let (physical, logical) = match kind {
            ColumnType::Text | ColumnType::TextList => {
                (Physical::BYTE_ARRAY, Some(LogicalType::String))
            }
            ColumnType::Json => (Physical::BYTE_ARRAY, Some(LogicalType::Json)),
            ColumnType::Timestamp => {
                let time = LogicalType::timestamp(true, TimeUnit::MICROS);
                (Physical::INT64, Some(time))
            }
            ColumnType::Integer => (Physical::INT64, None),
            ColumnType::Float => (Physical::DOUBLE, None),
            ColumnType::Boolean => (Physical::BOOLEAN, None),
        };
        let column = Type::primitive_type_builder(name, physical)
            .with_repetition(Repetition::OPTIONAL)
            .with_logical_type(logical);
        column.build().map(Arc::new)
    });
    let columns: Result<Vec<_>, _> = columns.collect();
    Type::group_type_builder("visit")
        .with_fields(columns?)
        .build()
}

fn write_column<'a>(
    column: &mut ColumnWriter<'_>,
    kind: ColumnType,
    values: impl Iterator<Item = Option<&'a Value>>,
) -> Result<(), ParquetError> {
    match column {
        ColumnWriter::ByteArrayColumnWriter(column) => {
            let (values, there) = split_nulls(values, |value| Some(to_text(value)));
            column.write_batch(&values, Some(&there), None)?;
        }
        ColumnWriter::Int64ColumnWriter(column) => {
            let number = |value: &Value| match kind {
                ColumnType::Timestamp => {
                    let moment = DateTime::parse_from_rfc3339(value.as_str()?).ok()?;
                    Some(moment.timestamp_micros())
                }
                _ => value.as_i64(),
            };
            let (values, there) = split_nulls(values, number);
            column.write_batch(&values, Some(&there), None)?;
        }
        ColumnWriter::DoubleColumnWriter(column) => {
            let (values, there) = split_nulls(values, Value::as_f64);
            column.write_batch(&values, Some(&there), None)?;
        }
        ColumnWriter::BoolColumnWriter(column) => {
            let (values, there) = split_nulls(values, Value::as_bool);
            column.write_batch(&values, Some(&there), None)?;
        }
        _ => return Err(ParquetError::General("unexpected column type".to_owned())),
    }
    Ok(())
}

/// The values that are present, and for each row whether it has one.
fn split_nulls<'a, T>(
    values: impl Iterator<Item = Option<&'a Value>>,
    read: impl Fn(&Value) -> Option<T>,
) -> (Vec<T>, Vec<i16>) {
    let mut found = vec![];
    let there = values.map(|value| {
        let value = value.and_then(&read);
        let is_there = i16::from(value.is_some());
        found.extend(value);
        is_there
    });
    let there = there.collect();
    (found, there)
}

fn to_text(value: &Value) -> ByteArray {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Array(texts) => {
            let texts: Vec<&str> = texts.iter().filter_map(Value::as_str).collect();
            texts.join(" ")
        }
        other => other.to_string(),
    };
    text.into_bytes().into()
}

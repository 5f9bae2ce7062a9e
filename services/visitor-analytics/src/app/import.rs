//! Imports a file line by line in batches. Each batch is committed before the next is read.

mod batch;
mod error;
mod file_head;
mod line_source;

pub use self::error::ImportError;

use aws_lc_rs::digest::{Context, SHA256};
use chassis::body::BodyReader;
use chrono::{DateTime, Utc};
use common::clock::Clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use self::file_head::{FileHead, line_text};
use self::line_source::LineSource;
use crate::app::admission::{AdmissionControl, NewSitePolicy};
use crate::app::ignore_rules::IgnoreRules;
use crate::app::ingest::IngestService;
use crate::domain::import::{
    DecodedLine, ImportFormat, LineParser, ParsedLine, ReimportedVisit, SkipReason,
    derive_import_id, derive_visit_id,
};
use crate::domain::privacy::PrivacyPolicy;
use crate::domain::visit::{NewVisit, SubmittedVisit, ValidationError};
use crate::store::{Import, ImportProgress, ImportStart, LineError, SiteLookup, Store};

/// Visits per transaction.
const IMPORT_BATCH_VISITS: usize = 500;
/// Bytes of lines that are buffered until their batch is recorded.
const MAX_BATCH_BYTES: usize = 1_048_576;
/// Lines after which progress is stored even if the batch is not full.
const CHECKPOINT_LINES: i64 = 10_000;
/// Rejected lines that an import reports; all are counted.
const MAX_REPORTED_ERRORS: usize = 20;
/// Unknown fields that an import reports.
const MAX_UNKNOWN_FIELDS: usize = 10;

#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The import's id. `None` derives the id from the format, the site and the first lines.
    pub id: Option<Uuid>,
    /// `None` finds the format from the first lines.
    pub format: Option<ImportFormat>,
    /// The site of lines that do not name one.
    pub site: Option<String>,
    pub new_site_policy: NewSitePolicy,
}

/// Imports files.
pub struct FileImporter<'a> {
    pub admission: &'a AdmissionControl,
    pub ingest: &'a IngestService,
    pub store: &'a Store,
    pub privacy_policy: &'a PrivacyPolicy,
    pub ignore_rules: &'a IgnoreRules,
    pub clock: &'a Clock,
    /// Stops the import between two batches.
    pub shutdown: &'a CancellationToken,
}

impl FileImporter<'_> {
    /// Imports a file. Lines that were imported before are skipped.
    #[tracing::instrument(level = "debug", name = "import_file", skip_all, fields(format = request.format.map_or("auto", ImportFormat::name)))]
    pub async fn import(
        &self,
        request: ImportRequest,
        file: BodyReader,
    ) -> Result<Import, ImportError> {
        let mut source = LineSource::new(file);
        let head = FileHead::read(&mut source, request.format).await?;
        let (format, site) = (head.format, request.site.as_deref());
        if format.needs_site() && site.is_none() {
            return Err(ImportError::SiteRequired(format));
        }
        let id = request
            .id
            .unwrap_or_else(|| derive_import_id(format, site, &head.fingerprint));
        let runner = self.clock.new_id();
        let what = (format.name(), site);
        let started = self.store.imports.begin(id, what, runner, self.clock.now());
        let import = match started.await? {
            ImportStart::Acquired(import) => *import,
            ImportStart::AlreadyRunning => return Err(ImportError::AlreadyRunning),
            ImportStart::Mismatch => return Err(ImportError::FileMismatch),
        };
        let key = (import.number, runner);
        let mut run = ImportRun {
            importer: self,
            import_key: key,
            import_id: id,
            new_site_policy: request.new_site_policy,
            parser: LineParser::new(format, request.site.clone()),
            digest: Context::new(&SHA256),
            line_number: 0,
            visits: vec![],
            reimported: vec![],
            buffered_bytes: 0,
            progress: ImportProgress {
                lines: import.lines,
                errors: import.errors.clone(),
                skipped_kinds: import.skipped_kinds.clone(),
                unknown_fields: import.unknown_fields.clone(),
                ..ImportProgress::default()
            },
            previous: import,
        };
        let done = run.import_lines(head.lines, &mut source).await;
        // Lines that were read before the upload ended are recorded.
        let flushed = match &done {
            Ok(())
            | Err(
                ImportError::IncompleteUpload | ImportError::Body(_) | ImportError::ShuttingDown,
            ) => run.flush().await,
            Err(_) => Ok(()),
        };
        let is_finished = done.is_ok() && flushed.is_ok();
        self.store
            .imports
            .release(key, is_finished, self.clock.now())
            .await?;
        done.and(flushed)?;
        match self.store.imports.find(id, None).await? {
            SiteLookup::Found(import) => Ok(import),
            SiteLookup::Missing | SiteLookup::OtherSite => Err(ImportError::AlreadyRunning),
        }
    }
}

/// A running import.
struct ImportRun<'a> {
    importer: &'a FileImporter<'a>,
    import_key: (i32, Uuid),
    import_id: Uuid,
    new_site_policy: NewSitePolicy,
    previous: Import,
    parser: LineParser,
    digest: Context,
    line_number: i64,
    /// Buffered visits with their line numbers.
    visits: Vec<(i64, NewVisit)>,
    reimported: Vec<(i64, ReimportedVisit)>,
    /// Size of the lines of `visits` and `reimported`.
    buffered_bytes: usize,
    progress: ImportProgress,
}

impl ImportRun<'_> {
    async fn import_lines(
        &mut self,
        head: Vec<(DecodedLine, bool)>,
        source: &mut LineSource,
    ) -> Result<(), ImportError> {
        for (line, is_whole) in head {
            self.process_line(&line, is_whole)?;
        }
        while let Some((line, is_whole)) = source.next_line().await? {
            self.process_line(&line, is_whole)?;
            let waiting = self.visits.len() + self.reimported.len();
            let is_full = waiting >= IMPORT_BATCH_VISITS || self.buffered_bytes >= MAX_BATCH_BYTES;
            let is_far = self.progress.lines > self.previous.lines
                && self.progress.lines % CHECKPOINT_LINES == 0;
            if is_full || is_far {
                self.flush().await?;
                if self.importer.shutdown.is_cancelled() {
                    return Err(ImportError::ShuttingDown);
                }
            }
        }
        Ok(())
    }

    /// Processes a line. A last line without a line end is imported but not counted as processed:
    /// it may be longer when the file is sent again.
    fn process_line(&mut self, line: &DecodedLine, is_whole: bool) -> Result<(), ImportError> {
        self.line_number += 1;
        if is_whole {
            self.digest.update(line_text(line).as_bytes());
            self.digest.update(b"\n");
        }
        if self.line_number <= self.previous.lines {
            // Column names and directives apply to the lines that follow. Invalid ones were rejected
            // in the first run.
            let _ = self.parser.read_header(line_text(line));
            let digest = self.digest.clone().finish();
            let is_end = self.line_number == self.previous.lines;
            if is_end && self.previous.digest.as_deref() != Some(digest.as_ref()) {
                return Err(ImportError::FileMismatch);
            }
            return Ok(());
        }
        if is_whole {
            self.progress.lines = self.line_number;
        }
        if let Err(error) = self.buffer_line(line) {
            self.reject_line(error);
        }
        Ok(())
    }

    fn reject_line(&mut self, error: LineError) {
        self.progress.counts.rejected += 1;
        if self.progress.errors.len() < MAX_REPORTED_ERRORS {
            self.progress.errors.push(error);
        }
    }

    fn skip_line(&mut self, reason: SkipReason) {
        self.progress.counts.skipped += 1;
        let kind = self.progress.skipped_kinds.entry(reason.name().to_owned());
        *kind.or_default() += 1;
    }

    fn note_unknown_fields(&mut self) {
        for name in self.parser.take_unknown_fields() {
            let known = &mut self.progress.unknown_fields;
            if known.len() < MAX_UNKNOWN_FIELDS && !known.contains(&name) {
                known.push(name);
            }
        }
    }

    fn line_error(&self, code: &str, detail: String, field: Option<&str>) -> LineError {
        LineError {
            line: self.line_number,
            code: code.to_owned(),
            detail,
            field: field.map(str::to_owned),
        }
    }

    fn buffer_line(&mut self, line: &DecodedLine) -> Result<(), LineError> {
        let DecodedLine::Text(text) = line else {
            let detail = "the line is too long or not UTF-8".to_owned();
            return Err(self.line_error("LINE_UNREADABLE", detail, None));
        };
        let parsed = self.parser.parse(text);
        self.note_unknown_fields();
        self.buffered_bytes += text.len();
        let parsed = parsed.map_err(|e| self.line_error(e.code(), e.to_string(), e.field()))?;
        let (policy, now) = (self.importer.privacy_policy, self.importer.clock.now());
        match parsed {
            ParsedLine::Skipped(reason) => self.skip_line(reason),
            ParsedLine::Visit(submitted) => {
                let visit = self.with_id(*submitted, text);
                let visit = visit.and_then(|visit| NewVisit::accept(visit, policy, now));
                let visit = visit.map_err(|e| self.invalid_visit(&e))?;
                if self.importer.ignore_rules.count_if_ignored(&visit) {
                    self.progress.counts.ignored += 1;
                } else {
                    self.visits.push((self.line_number, visit));
                }
            }
            ParsedLine::Exported(mut exported) => {
                if exported.visit.id.is_nil() {
                    exported.visit.id = self.derive_id(text, exported.visit.timestamp);
                }
                let visit = ReimportedVisit::accept(*exported, policy, now);
                let visit = visit.map_err(|e| self.invalid_visit(&e))?;
                if self.importer.ignore_rules.count_if_ignored(visit.visit()) {
                    self.progress.counts.ignored += 1;
                } else {
                    self.reimported.push((self.line_number, visit));
                }
            }
        }
        Ok(())
    }

    fn invalid_visit(&self, error: &ValidationError) -> LineError {
        let detail = format!("{}: {error}", error.field());
        self.line_error(error.code(), detail, Some(error.field()))
    }

    /// Derives the id of a visit without one from its line.
    fn with_id(
        &self,
        submitted: SubmittedVisit,
        line: &str,
    ) -> Result<SubmittedVisit, ValidationError> {
        if submitted.id.is_some() {
            return Ok(submitted);
        }
        let moment = submitted
            .timestamp
            .ok_or(ValidationError::TimestampRequired)?;
        Ok(SubmittedVisit {
            id: Some(self.derive_id(line, moment)),
            ..submitted
        })
    }

    fn derive_id(&self, line: &str, moment: DateTime<Utc>) -> Uuid {
        derive_visit_id(
            self.import_id,
            self.line_number.cast_unsigned(),
            line,
            moment,
        )
    }
}

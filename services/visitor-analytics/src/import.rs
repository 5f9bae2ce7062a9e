//! Imports a file line by line in batches. Each batch is committed before the next is read.

mod batch;

use aws_lc_rs::digest::{Context, SHA256};
use chassis::body::{BodyError, BodyReader};
use common::clock::Clock;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use crate::admission::{AdmissionControl, AdmissionError, NewSitePolicy};
use crate::domain::import::{
    DecodedLine, ImportFormat, LineDecoder, LineParseError, LineParser, ParsedLine,
    ReimportedVisit, id_of, visit_id,
};
use crate::domain::policy::PrivacyPolicy;
use crate::domain::visit::{NewVisit, SubmittedVisit, ValidationError};
use crate::ingest::IngestService;
use crate::store::{Import, ImportProgress, ImportStart, LineError, SiteLookup, Store, StoreError};
use crate::workers::recorder::RecordError;
use crate::workers::wishes::IgnoreRules;

/// Visits per transaction.
const IMPORT_BATCH_VISITS: usize = 500;
/// Bytes of lines that are buffered until their batch is recorded.
const MAX_BATCH_BYTES: usize = 1_048_576;
/// Lines after which progress is stored even if the batch is not full.
const CHECKPOINT_LINES: i64 = 10_000;
/// Rejected lines that an import reports; all are counted.
const MAX_REPORTED_ERRORS: usize = 20;
/// Lines at the start of a file from which the import's id is derived.
const FINGERPRINT_LINES: usize = 2;
/// An upload that sends no data for this long is aborted.
const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The import's id. `None` derives the id from the format, the site and the first lines.
    pub id: Option<Uuid>,
    pub format: ImportFormat,
    /// The site of lines that do not name one.
    pub site: Option<String>,
    pub new_sites: NewSitePolicy,
}

/// Why an import stopped. Recorded visits stay, and the file can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Another request imports the same file.
    #[error("another request is importing this file; wait until it completes")]
    Running,
    /// The lines that were imported before differ from those of this file.
    #[error("the file differs from the one that was imported with this id or these first lines")]
    Differs,
    /// The upload ended before the end of the file.
    #[error("the upload ended before the end of the file; send the file again to resume")]
    Incomplete,
    /// The request body is invalid.
    #[error(transparent)]
    Body(BodyError),
    /// The file names a site that may not be added.
    #[error(transparent)]
    Refused(#[from] AdmissionError),
    #[error("the service is stopping")]
    Stopping,
    #[error(transparent)]
    Record(#[from] RecordError),
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Imports files.
pub struct FileImporter<'a> {
    pub admission: &'a AdmissionControl,
    pub ingest: &'a IngestService,
    pub store: &'a Store,
    pub policy: &'a PrivacyPolicy,
    pub wishes: &'a IgnoreRules,
    pub clock: &'a Clock,
    /// Stops the import between two batches.
    pub closing: &'a CancellationToken,
}

impl FileImporter<'_> {
    /// Imports a file. Lines that were imported before are skipped.
    pub async fn run(
        &self,
        wanted: ImportRequest,
        file: BodyReader,
    ) -> Result<Import, ImportError> {
        let mut source = LineSource {
            file,
            lines: Some(LineDecoder::default()),
        };
        let mut head = vec![];
        while head.len() < FINGERPRINT_LINES
            && let Some(line) = source.next().await?
        {
            head.push(line);
        }
        let site = wanted.site.as_deref();
        let beginning: Vec<String> = head.iter().map(|(line, _)| text(line).to_owned()).collect();
        let id = wanted
            .id
            .unwrap_or_else(|| id_of(wanted.format, site, &beginning));
        let runner = self.clock.new_id();
        let what = (wanted.format.name(), site);
        let begun = self.store.begin_import(id, what, runner, self.clock.now());
        let import = match begun.await? {
            ImportStart::Ours(import) => *import,
            ImportStart::Running => return Err(ImportError::Running),
            ImportStart::Differs => return Err(ImportError::Differs),
        };
        let key = (import.number, runner);
        let mut run = ImportRun {
            importer: self,
            key,
            id,
            new_sites: wanted.new_sites,
            reader: LineParser::new(wanted.format, wanted.site.clone()),
            is_csv: wanted.format == ImportFormat::Csv,
            digest: Context::new(&SHA256),
            number: 0,
            visits: vec![],
            restored: vec![],
            bytes: 0,
            step: ImportProgress {
                lines: import.lines,
                errors: import.errors.clone(),
                ..ImportProgress::default()
            },
            before: import,
        };
        let done = run.all(head, &mut source).await;
        // Lines that were read before the upload ended are recorded.
        let flushed = match &done {
            Ok(())
            | Err(ImportError::Incomplete | ImportError::Body(_) | ImportError::Stopping) => {
                run.flush().await
            }
            Err(_) => Ok(()),
        };
        let is_finished = done.is_ok() && flushed.is_ok();
        self.store
            .leave_import(key, is_finished, self.clock.now())
            .await?;
        done.and(flushed)?;
        match self.store.import(id, None).await? {
            SiteLookup::Found(import) => Ok(import),
            SiteLookup::Missing | SiteLookup::OfAnotherSite => Err(ImportError::Running),
        }
    }
}

/// The lines of a file, each with whether its line end was read.
struct LineSource {
    file: BodyReader,
    /// `None` after the end of the file.
    lines: Option<LineDecoder>,
}

impl LineSource {
    async fn next(&mut self) -> Result<Option<(DecodedLine, bool)>, ImportError> {
        loop {
            let Some(lines) = &mut self.lines else {
                return Ok(None);
            };
            if let Some(line) = lines.take() {
                return Ok(Some((line, true)));
            }
            match tokio::time::timeout(READ_TIMEOUT, self.file.next()).await {
                Ok(Ok(Some(piece))) => lines.add(&piece),
                Ok(Ok(None)) => {
                    let last = self.lines.take().and_then(LineDecoder::last);
                    return Ok(last.map(|line| (line, false)));
                }
                Ok(Err(BodyError::Incomplete)) | Err(_) => return Err(ImportError::Incomplete),
                Ok(Err(error)) => return Err(ImportError::Body(error)),
            }
        }
    }
}

fn text(line: &DecodedLine) -> &str {
    match line {
        DecodedLine::Text(text) => text,
        DecodedLine::Unreadable => "",
    }
}

/// A running import.
struct ImportRun<'a> {
    importer: &'a FileImporter<'a>,
    key: (i32, Uuid),
    id: Uuid,
    new_sites: NewSitePolicy,
    before: Import,
    reader: LineParser,
    is_csv: bool,
    digest: Context,
    number: i64,
    /// Buffered visits with their line numbers.
    visits: Vec<(i64, NewVisit)>,
    restored: Vec<(i64, ReimportedVisit)>,
    /// Size of the lines of `visits` and `restored`.
    bytes: usize,
    step: ImportProgress,
}

impl ImportRun<'_> {
    async fn all(
        &mut self,
        head: Vec<(DecodedLine, bool)>,
        source: &mut LineSource,
    ) -> Result<(), ImportError> {
        for (line, is_whole) in head {
            self.line(&line, is_whole)?;
        }
        while let Some((line, is_whole)) = source.next().await? {
            self.line(&line, is_whole)?;
            let waiting = self.visits.len() + self.restored.len();
            let is_full = waiting >= IMPORT_BATCH_VISITS || self.bytes >= MAX_BATCH_BYTES;
            let is_far =
                self.step.lines > self.before.lines && self.step.lines % CHECKPOINT_LINES == 0;
            if is_full || is_far {
                self.flush().await?;
                if self.importer.closing.is_cancelled() {
                    return Err(ImportError::Stopping);
                }
            }
        }
        Ok(())
    }

    /// Processes a line. A last line without a line end is imported but not counted as processed:
    /// it may be longer when the file is sent again.
    fn line(&mut self, line: &DecodedLine, is_whole: bool) -> Result<(), ImportError> {
        self.number += 1;
        if is_whole {
            self.digest.update(text(line).as_bytes());
            self.digest.update(b"\n");
        }
        if self.number <= self.before.lines {
            if self.number == 1 && self.is_csv {
                // The column names, which were valid in the first run.
                let _ = self.reader.read(text(line));
            }
            let digest = self.digest.clone().finish();
            let is_end = self.number == self.before.lines;
            if is_end && self.before.digest.as_deref() != Some(digest.as_ref()) {
                return Err(ImportError::Differs);
            }
            return Ok(());
        }
        if is_whole {
            self.step.lines = self.number;
        }
        if let Err((code, detail)) = self.take(line) {
            self.reject(self.number, code, detail);
        }
        Ok(())
    }

    fn reject(&mut self, line: i64, code: &str, detail: String) {
        self.step.counts.rejected += 1;
        if self.step.errors.len() < MAX_REPORTED_ERRORS {
            let code = code.to_owned();
            self.step.errors.push(LineError { line, code, detail });
        }
    }

    fn take(&mut self, line: &DecodedLine) -> Result<(), (&'static str, String)> {
        let DecodedLine::Text(text) = line else {
            return Err((
                "LINE_UNREADABLE",
                "the line is too long or not UTF-8".to_owned(),
            ));
        };
        let said = self.reader.read(text);
        self.bytes += text.len();
        let said = said.map_err(|e: LineParseError| ("LINE_INVALID", e.to_string()))?;
        let invalid = |e: ValidationError| (e.code(), format!("{}: {e}", e.field()));
        let (policy, now) = (self.importer.policy, self.importer.clock.now());
        match said {
            ParsedLine::Skipped => self.step.counts.skipped += 1,
            ParsedLine::Visit(submitted) => {
                let submitted = self.named(*submitted, text).map_err(invalid)?;
                let visit = NewVisit::accept(submitted, policy, now).map_err(invalid)?;
                if self.importer.wishes.ignore(&visit) {
                    self.step.counts.ignored += 1;
                } else {
                    self.visits.push((self.number, visit));
                }
            }
            ParsedLine::Exported(exported) => {
                let visit = ReimportedVisit::accept(*exported, policy, now).map_err(invalid)?;
                if self.importer.wishes.ignore(visit.visit()) {
                    self.step.counts.ignored += 1;
                } else {
                    self.restored.push((self.number, visit));
                }
            }
        }
        Ok(())
    }

    /// Derives the id of a visit without one from its line.
    fn named(
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
        let id = visit_id(self.id, self.number.cast_unsigned(), line, moment);
        Ok(SubmittedVisit {
            id: Some(id),
            ..submitted
        })
    }
}

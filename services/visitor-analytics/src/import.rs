//! Taking a file in: line by line, in batches, each of which is kept before the next is read.

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

/// Visits that are recorded together.
const IMPORT_BATCH_VISITS: usize = 500;
/// Bytes of lines that are held until they are recorded.
const MAX_BATCH_BYTES: usize = 1_048_576;
/// Lines that are read before it is kept how far the import is.
const CHECKPOINT_LINES: i64 = 10_000;
/// Rejected lines that are told.
const MAX_REPORTED_ERRORS: usize = 20;
/// Lines that tell files apart.
const FINGERPRINT_LINES: usize = 2;
/// Somebody who sends nothing for so long is gone.
const READ_TIMEOUT: std::time::Duration = std::time::Duration::from_secs(30);

/// What is to be imported.
#[derive(Clone, Debug)]
pub struct ImportRequest {
    /// The import's id; made of the file's beginning without it.
    pub id: Option<Uuid>,
    /// The file's format.
    pub format: ImportFormat,
    /// Whose visits these are.
    pub site: Option<String>,
    /// Which new sites it may bring along.
    pub new_sites: NewSitePolicy,
}

/// Why an import broke off. What was recorded stays, and the file can be sent again.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// Somebody is at it.
    #[error("this file is being imported")]
    Running,
    /// It begins with other lines than those that were imported.
    #[error("another file was imported with this id, or with this beginning")]
    Differs,
    /// The file did not come to its end.
    #[error("the file broke off")]
    Incomplete,
    /// The file cannot be read.
    #[error(transparent)]
    Body(BodyError),
    /// Its visits may not be recorded.
    #[error(transparent)]
    Refused(#[from] AdmissionError),
    /// The service is stopping.
    #[error("the service is stopping")]
    Stopping,
    /// The visits were not recorded.
    #[error(transparent)]
    Record(#[from] RecordError),
    /// The database did not do what it was asked.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Takes files in.
pub struct FileImporter<'a> {
    /// Which sites and ids are recorded.
    pub admission: &'a AdmissionControl,
    /// Records visits.
    pub ingest: &'a IngestService,
    /// Where imports are kept.
    pub store: &'a Store,
    /// What is kept of visitors.
    pub policy: &'a PrivacyPolicy,
    /// Which visits sites do not want.
    pub wishes: &'a IgnoreRules,
    /// The time.
    pub clock: &'a Clock,
    /// Ends the import between two batches.
    pub closing: &'a CancellationToken,
}

impl FileImporter<'_> {
    /// Imports a file; lines that were imported before are passed over.
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
        // What was read before something broke off is kept.
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

/// A file's lines, and whether each is complete.
struct LineSource {
    file: BodyReader,
    /// `None` after the end.
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

/// An import under way.
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
    /// With their lines' numbers.
    visits: Vec<(i64, NewVisit)>,
    restored: Vec<(i64, ReimportedVisit)>,
    /// What the lines of both have together.
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

    /// A last line without its end is taken, but may be longer when the file is sent again.
    fn line(&mut self, line: &DecodedLine, is_whole: bool) -> Result<(), ImportError> {
        self.number += 1;
        if is_whole {
            self.digest.update(text(line).as_bytes());
            self.digest.update(b"\n");
        }
        if self.number <= self.before.lines {
            if self.number == 1 && self.is_csv {
                // The names of the columns; they were good the first time.
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
            return Err(("LINE_UNREADABLE", "too long, or no UTF-8".to_owned()));
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

    /// A visit without an id gets one of its line.
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

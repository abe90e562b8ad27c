//! A script as a program.

use async_trait::async_trait;
use serde::{Deserialize, Serialize};

use super::super::launch::Launch;
use super::super::program::{Program, ProgramContext};
use super::runner;
use super::script::SqlScript;
use crate::{Error, Result};

/// Bytes of a script file at most; Flink's own limit for arguments is far above what people write.
const SCRIPT: u64 = 4 * 1024 * 1024;

/// A script of Flink SQL statements that runs as one job.
///
/// Statements run in order: `SET` and `RESET`, `CREATE …`, then the `INSERT`s, which are gathered
/// in one job; an explicit statement set may stand in their place. Connector and UDF jars are the
/// job's [`dependencies`](super::super::JobSpec::dependencies).
///
/// ```
/// use streampark_core::job::SqlProgram;
///
/// let program = SqlProgram::new(
///     "CREATE TABLE source (n BIGINT) WITH ('connector' = 'datagen');
///      CREATE TABLE sink (n BIGINT) WITH ('connector' = 'blackhole');
///      INSERT INTO sink SELECT n FROM source;",
/// );
/// assert_eq!(program.script()?.statements().len(), 3);
/// # Ok::<(), streampark_core::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct SqlProgram {
    /// The script itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql: Option<String>,
    /// A file that holds the script, instead of `sql`: UTF-8, at most 4 MiB.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sql_file: Option<String>,
}

impl SqlProgram {
    /// The script `sql`.
    pub fn new(sql: impl Into<String>) -> Self {
        Self { sql: Some(sql.into()), sql_file: None }
    }

    /// The script in the file at `path`, read when the job is prepared.
    pub fn from_file(path: impl Into<String>) -> Self {
        Self { sql: None, sql_file: Some(path.into()) }
    }

    /// The script given as text, split and checked.
    ///
    /// # Errors
    /// [`InvalidInput`](crate::ErrorKind::InvalidInput) where the script is in a file;
    /// [`Program`](crate::ErrorKind::Program) with line and column where it cannot become one job.
    pub fn script(&self) -> Result<SqlScript> {
        let sql = self.sql.as_deref().ok_or_else(|| Error::invalid("the script is in a file; prepare reads it"))?;
        checked(sql)
    }
}

fn checked(sql: &str) -> Result<SqlScript> {
    let script = SqlScript::parse(sql)?;
    script.check()?;
    Ok(script)
}

async fn read(path: &std::path::Path) -> Result<String> {
    let told = |error: Error| error.with_operation("job.sql.read").with_context("path", path.display());
    let size = tokio::fs::metadata(path).await.map_err(|source| told(source.into()))?.len();
    if size > SCRIPT {
        return Err(told(Error::invalid(format!("the script has {size} bytes; at most {SCRIPT} are taken"))));
    }
    let bytes = tokio::fs::read(path).await.map_err(|source| told(source.into()))?;
    let text = String::from_utf8(bytes).map_err(|error| {
        let good = error.utf8_error().valid_up_to();
        let line = error.as_bytes().iter().take(good).filter(|byte| **byte == b'\n').count() + 1;
        told(Error::invalid(format!("the script is not UTF-8 at line {line}; save it as UTF-8")))
    })?;
    // Editors of Windows begin a file with a byte order mark.
    Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
}

#[async_trait]
impl Program for SqlProgram {
    fn kind(&self) -> &str {
        "sql"
    }

    async fn prepare(&self, context: &ProgramContext) -> Result<Launch> {
        let prepare = async {
            let script = match (&self.sql, &self.sql_file) {
                (Some(_), Some(_)) => return Err(Error::invalid("a program has 'sql' or 'sql_file', not both")),
                (None, None) => return Err(Error::invalid("the program has no script; give 'sql' or 'sql_file'")),
                (Some(sql), None) => checked(sql)?,
                (None, Some(file)) => {
                    let path = context.base.join(file);
                    checked(&read(&path).await?).map_err(|error| error.with_context("path", path.display()))?
                }
            };
            if let Some(version) = &context.flink_version {
                version.require("a SQL script as a job", 1, 16)?;
            }
            runner::launch(&script)
        };
        prepare.await.map_err(|error: Error| error.with_operation("job.sql.prepare"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;
    use crate::job::Location;

    const SCRIPT: &str = "SET 'pipeline.name' = 'a;b';\n-- sink\nCREATE TABLE s (n INT) WITH ('connector'='x', 'password'='canary');\n\n  INSERT INTO s\n  SELECT 1;\n";

    #[tokio::test]
    async fn a_script_becomes_a_launch_of_the_runner() {
        let context = ProgramContext::new("unused");
        let launch = SqlProgram::new(SCRIPT).prepare(&context).await.unwrap();
        assert_eq!(launch, SqlProgram::new(SCRIPT).prepare(&context).await.unwrap());
        assert_eq!(launch.entry_class.as_deref(), Some("org.streampark.sdk.runner.SqlRunner"));
        let jar = launch.jar.as_ref().unwrap();
        assert_eq!(jar.sha256.as_ref().unwrap().len(), 64);
        assert!(matches!(&jar.location, Location::Bytes(bytes) if bytes.starts_with(b"PK")));
        // An argument stands in logs: it only says where the script is.
        assert_eq!(launch.args, ["--script-file", "classpath:streampark-sql-script"]);
        let script = runner::encoded_in(&launch);
        // The base64 was made by another program: base64 -w0 | tr '+/' '-_' | tr -d =
        assert!(script.starts_with("v1,1.1.1.U0VUICdwaXBlbGluZS5uYW1lJyA9ICdhO2In,2.3.1."), "{script}");
        assert!(script.ends_with(",3.5.3.SU5TRVJUIElOVE8gcwogIFNFTEVDVCAx"), "{script}");
        assert_eq!(launch.notes[0], "statement 1 at line 1: SET 'pipeline.name' = 'a;b'");
        assert_eq!(launch.notes[2], "statement 3 at line 5: INSERT INTO s SELECT 1");
        let shown = launch.shown_args();
        assert!(
            shown[1].contains("INSERT INTO s\n  SELECT 1;") && shown[1].contains("'password'='******'"),
            "{shown:?}"
        );
        assert!(!format!("{shown:?}{:?}", launch.notes).contains("canary"));
    }

    #[tokio::test]
    async fn a_file_is_read_from_the_specs_folder() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("job.sql"), format!("\u{feff}{SCRIPT}")).unwrap();
        let context = ProgramContext::new("unused").with_base(folder.path());
        let launch = SqlProgram::from_file("job.sql").prepare(&context).await.unwrap();
        assert!(runner::encoded_in(&launch).starts_with("v1,1.1.1."), "a byte order mark is no column");
        std::fs::write(folder.path().join("bad.sql"), b"-- one\nSELECT '\xff'").unwrap();
        let error = SqlProgram::from_file("bad.sql").prepare(&context).await.unwrap_err();
        assert_eq!(error.message(), "the script is not UTF-8 at line 2; save it as UTF-8");
        let error = SqlProgram::from_file("none.sql").prepare(&context).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
        assert!(error.to_string().contains("none.sql"), "{error}");
    }

    #[tokio::test]
    async fn one_script_is_needed() {
        let context = ProgramContext::new("unused");
        let error = SqlProgram::default().prepare(&context).await.unwrap_err();
        assert_eq!(error.to_string(), "job.sql.prepare: the program has no script; give 'sql' or 'sql_file'");
        let mut both = SqlProgram::new("x");
        both.sql_file = Some("y".to_owned());
        let error = both.prepare(&context).await.unwrap_err();
        assert_eq!(error.message(), "a program has 'sql' or 'sql_file', not both");
    }
}

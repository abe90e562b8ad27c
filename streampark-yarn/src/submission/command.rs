//! The command of the JobManager's container (`YarnClusterDescriptor.setupApplicationMasterContainer`).

use streampark_core::flink::{FlinkConfig, FlinkVersion, JobManagerMemory};
use streampark_core::{Error, Result};

use super::request::LogConfig;

const TEMPLATE: &str = "%java% %jvmmem% %jvmopts% %logging% %class% %args% %redirects%";

/// Builds the command.
pub(super) fn command(
    config: &FlinkConfig,
    version: &FlinkVersion,
    memory: &JobManagerMemory,
    logging: &LogConfig,
    class: &str,
    has_krb5: bool,
) -> Result<String> {
    let properties: Vec<String> =
        memory.dynamic_properties().iter().map(|(key, value)| format!("-D {key}={value}")).collect();
    // In the order of Java's HashMap, for a value may hold the placeholder of a later one.
    let values = [
        ("args", properties.join(" ")),
        ("java", "$JAVA_HOME/bin/java".to_owned()),
        ("jvmopts", jvm_options(config, version, has_krb5)?),
        ("redirects", "1> <LOG_DIR>/jobmanager.out 2> <LOG_DIR>/jobmanager.err".to_owned()),
        ("jvmmem", memory.jvm_args().join(" ")),
        ("logging", logging_options(logging).to_owned()),
        ("class", class.to_owned()),
    ];
    let template = config.get("yarn.container-start-command-template").unwrap_or(TEMPLATE);
    Ok(start_command(template, &values))
}

/// `Utils.getStartCommand` (`BootstrapTools` before 1.20).
fn start_command(template: &str, values: &[(&str, String)]) -> String {
    let mut command = template.to_owned();
    for (name, value) in values {
        command = command.replace(&format!("%{name}%"), value).replace("  ", " ").trim().to_owned();
    }
    command
}

/// The options of every JVM, then those of the JobManager's.
fn jvm_options(config: &FlinkConfig, version: &FlinkVersion, has_krb5: bool) -> Result<String> {
    let mut options: Vec<&str> = Vec::new();
    for key in option_keys(version) {
        let older = (key == "env.java.opts.all").then_some("env.java.opts");
        let Some(text) = config.get(key).or_else(|| config.get(older?)) else { continue };
        check_shell(key, text)?;
        if !text.is_empty() {
            options.push(text);
        }
    }
    if version.at_least(1, 18) {
        options.push("-XX:+IgnoreUnrecognizedVMOptions");
    }
    if has_krb5 {
        options.push("-Djava.security.krb5.conf=krb5.conf");
    }
    Ok(options.join(" "))
}

fn option_keys(version: &FlinkVersion) -> Vec<&'static str> {
    if version.at_least(1, 19) {
        vec![
            "env.java.default-opts.all",
            "env.java.opts.all",
            "env.java.default-opts.jobmanager",
            "env.java.opts.jobmanager",
        ]
    } else {
        vec![version.jvm_options_key(), "env.java.opts.jobmanager"]
    }
}

/// `YarnLogConfigUtil.getLoggingYarnCommand`.
fn logging_options(logging: &LogConfig) -> &'static str {
    match logging {
        LogConfig::Standard | LogConfig::Log4j(_) => {
            "-Dlog.file=\"<LOG_DIR>/jobmanager.log\" -Dlog4j.configuration=file:log4j.properties \
             -Dlog4j.configurationFile=file:log4j.properties"
        }
        LogConfig::Logback(_) => "-Dlog.file=\"<LOG_DIR>/jobmanager.log\" -Dlogback.configurationFile=file:logback.xml",
        LogConfig::None => "",
    }
}

/// Refuses options that do not reach the JVM as they are written.
///
/// Flink quotes nothing, and a NodeManager writes `exec /bin/bash -c "<command>"` without escaping
/// (`ContainerLaunch.UnixShellScriptBuilder.command`): the text is read by two shells, the outer of
/// which has it in double quotes.
pub(super) fn check_shell(key: &str, text: &str) -> Result<()> {
    let wrong = |what: &str| {
        Err(Error::invalid(format!(
            "{key} {what}: YARN's launch script reads the options twice, the first time in double quotes; put what is \
             special into single quotes, without double quotes, backticks and backslashes"
        )))
    };
    // YARN puts paths and variables in their place before any shell sees the command.
    let text = text.replace("<LOG_DIR>", "/").replace("<CPS>", ":").replace("{{", "$").replace("}}", "");
    let mut quote: Option<char> = None;
    let (mut before, mut first) = (' ', ' ');
    for (at, c) in text.char_indices() {
        if quote.is_none() && before.is_whitespace() {
            first = c;
        }
        match (quote, c) {
            (_, '`') => return wrong("holds a backtick"),
            (_, '\\') => return wrong("holds a backslash"),
            (_, c) if c.is_control() && c != '\t' => return wrong("holds a line end or another control character"),
            (Some('\''), '$') => return wrong("holds $ between single quotes, where it is expanded nevertheless"),
            (_, '$') if !is_variable(text.get(at + 1..).unwrap_or_default()) => {
                return wrong("holds $ before something that is no name of a variable");
            }
            (Some('"'), '"') if before == '"' => return wrong("holds nothing between two double quotes"),
            (Some(open), c) if c == open => quote = None,
            // The outer quotes end at a double quote, so nothing between two of them is quoted for it.
            (Some('"'), c) if c.is_whitespace() || ";&|<>()'#*?[]{}~!".contains(c) => {
                return wrong("holds, between double quotes, a blank or a character that is special to a shell");
            }
            (Some('\''), '"') => return wrong("holds a double quote between single quotes"),
            (Some(_), c) if c == ' ' && before == ' ' => {
                return wrong("holds two blanks in a row between quotes, which Flink makes one");
            }
            (Some(_), _) => {}
            (None, '"' | '\'') => quote = Some(c),
            (None, ';' | '&' | '|' | '<' | '>' | '(' | ')') => {
                return wrong(&format!("holds {c} outside of quotes, which ends or redirects the command"));
            }
            (None, '{') if before != '$' => return wrong("holds {, which makes several words of one"),
            (None, '#' | '~') if first != '-' => {
                return wrong(&format!("holds {c} in a word that is no option, which a shell reads its own way"));
            }
            (None, _) => {}
        }
        before = c;
    }
    match quote {
        Some(open) => wrong(&format!("has a {open} that is not closed")),
        None => Ok(()),
    }
}

/// Whether a `$` before this text begins `$NAME` or `${NAME}`, or means itself.
fn is_variable(rest: &str) -> bool {
    let starts = |name: &str| name.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
    match rest.strip_prefix('{') {
        Some(braced) => braced
            .split_once('}')
            .is_some_and(|(name, _)| starts(name) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_')),
        None => starts(rest) || rest.is_empty() || rest.starts_with(char::is_whitespace),
    }
}

#[cfg(test)]
mod tests;

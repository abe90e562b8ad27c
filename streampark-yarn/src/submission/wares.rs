//! Gathers the files of a submission, in the order in which Flink's client registers them.

use streampark_core::flink::{FlinkConfig, FlinkVersion};
use streampark_core::job::{Launch, Location};
use streampark_core::{Error, Result};

use super::config::{UserJars, truth};
use super::environment::Kerberos;
use super::logging::LOG4J;
use super::lookup::{below, of_path, of_resource};
use super::place::{base_name, list, parent, qualified};
use super::program::{add_optional_jar, add_program, usrlib};
use super::request::{Deploy, LogConfig, Request};
use super::resources::{Item, Resources, is_dist_jar};
use crate::facts::{ClusterFacts, ResourceType};

/// The files of a submission, and what follows from them.
pub(super) struct Wares {
    pub(super) resources: Resources,
    pub(super) class_path: String,
    pub(super) dist_key: String,
    pub(super) config_name: &'static str,
    pub(super) kerberos: Kerberos,
}

/// Gathers all files; the configuration, completed by the program's jar, is one of them.
pub(super) fn gather(
    request: &Request<'_>,
    config: &mut FlinkConfig,
    staging: &str,
    notes: &mut Vec<String>,
) -> Result<Wares> {
    let mut resources = Resources::new(staging.to_owned());
    let inclusion = UserJars::from_config(config)?;
    let launch = match request.deploy {
        Deploy::Application(submission) => Some(&submission.launch),
        Deploy::Session(_) => None,
    };
    let provided = provided_dirs(config, request.facts)?;
    let (mut system, provided_dist) = add_provided(&mut resources, &provided, request)?;
    system.extend(resources.add_all(ship_files(request, config, launch, provided.is_empty())?, ResourceType::File)?);
    if provided.is_empty()
        && let Some(plugins) = request.options.distribution.as_ref().and_then(|dist| dist.plugins.as_ref())
    {
        resources.add_all(Item::of_tree(plugins), ResourceType::File)?;
    }
    resources.add_all(archives(request, config, launch)?, ResourceType::Archive)?;
    let mut user = Vec::new();
    if let Deploy::Application(submission) = request.deploy {
        add_optional_jar(&mut resources, request, submission)?;
        user = add_program(&mut resources, request, submission, config, inclusion)?;
    }
    user.extend(resources.add_all(usrlib(request, config, launch, &resources)?, ResourceType::File)?);
    if inclusion == UserJars::Disabled && launch.is_some() && !resources.has_folder("usrlib") {
        return Err(Error::invalid(
            "yarn.classpath.include-user-jar is DISABLED, and there is no jar and no usrlib for Flink to load; give one, \
             or remove the key",
        ));
    }
    if inclusion == UserJars::Order {
        system.extend(user.iter().cloned());
    }
    sort_as_java(&mut system);
    sort_as_java(&mut user);

    let dist_key = match provided_dist {
        Some(key) => key,
        None => add_dist(&mut resources, request)?,
    };
    let (config_name, text) = config.to_file(request.version)?;
    resources.add(Item::bytes(config_name, text), ResourceType::File, true)?;
    let kerberos = add_kerberos(&mut resources, config)?;

    let mut class_path = String::new();
    let mut put = |entries: &[String]| {
        for entry in entries {
            class_path.push_str(entry);
            class_path.push(':');
        }
    };
    if inclusion == UserJars::First {
        put(&user);
    }
    put(&system);
    put(&[dist_key.clone(), config_name.to_owned()]);
    if inclusion == UserJars::Last {
        put(&user);
    }
    if matches!(request.options.logging, LogConfig::None) {
        notes.push("no logging is configured: Flink's libraries decide what is written".to_owned());
    }
    Ok(Wares { resources, class_path, dist_key, config_name, kerberos })
}

/// Java orders texts by UTF-16 code units.
fn sort_as_java(entries: &mut [String]) {
    entries.sort_by(|a, b| a.encode_utf16().cmp(b.encode_utf16()));
}

/// `yarn.provided.lib.dirs`, or else what is known of the cluster.
pub(super) fn provided_dirs(config: &FlinkConfig, facts: &ClusterFacts) -> Result<Vec<String>> {
    let configured = list(config, "yarn.provided.lib.dirs", None)?;
    if configured.is_empty() {
        return Ok(facts.provided_lib_dirs.iter().map(|dir| qualified(dir, &facts.default_fs)).collect());
    }
    configured
        .iter()
        .map(|dir| match dir.starts_with("file:") {
            false => Ok(qualified(dir, &facts.default_fs)),
            true => Err(Error::invalid(format!(
                "'{dir}' in yarn.provided.lib.dirs is a folder of this machine, and every node must reach it; put Flink \
                 on the cluster's file system"
            ))),
        })
        .collect()
}

/// `YarnApplicationFileUploader.registerProvidedLocalResources`: the class path, and the key of the jar
/// `flink-dist`.
fn add_provided(
    resources: &mut Resources,
    dirs: &[String],
    request: &Request<'_>,
) -> Result<(Vec<String>, Option<String>)> {
    let mut class_path = std::collections::BTreeSet::new();
    let mut dist: Option<String> = None;
    for dir in dirs {
        let name = base_name(dir);
        if name == "usrlib" {
            return Err(Error::invalid(format!(
                "'{dir}' in yarn.provided.lib.dirs is a usrlib; name it in yarn.provided.usrlib.dir"
            )));
        }
        for file in below(request.facts, dir, "yarn.provided.lib.dirs")? {
            let key = format!("{name}/{}", file.path.get(dir.len() + 1..).unwrap_or_default());
            resources.add(Item::in_place(&key, file), ResourceType::File, true)?;
            if is_dist_jar(base_name(&key)) {
                check_dist(base_name(&key), request.version)?;
                if let Some(other) = dist.replace(key.clone()) {
                    return Err(Error::invalid(format!(
                        "yarn.provided.lib.dirs holds two Flinks, '{other}' and '{key}'; leave one of them"
                    )));
                }
            } else if !is_plugin(&file.path) {
                let by_key = key.ends_with("jar") || !request.version.at_least(1, 19);
                class_path.insert(if by_key { key } else { parent(&key).to_owned() });
            }
        }
    }
    if dist.is_none() && !dirs.is_empty() {
        return Err(Error::invalid(format!(
            "none of the folders of yarn.provided.lib.dirs holds flink-dist-*.jar ({}); they must hold all of Flink's lib \
             and plugins",
            dirs.join(", ")
        )));
    }
    Ok((class_path.into_iter().collect(), dist))
}

/// `YarnApplicationFileUploader.isPlugin`.
fn is_plugin(path: &str) -> bool {
    parent(path).split('/').any(|folder| folder == "plugins")
}

/// A distribution of another version than the one that is submitted for would read other files.
fn check_dist(name: &str, version: &FlinkVersion) -> Result<()> {
    let text = name.split_once('-').and_then(|(_, rest)| rest.split_once('-')).map_or("", |(_, version)| version);
    let text = text.trim_end_matches(".jar");
    match text.parse::<FlinkVersion>() {
        Ok(found) if (found.major(), found.minor()) != (version.major(), version.minor()) => {
            Err(Error::invalid(format!(
                "the Flink at hand is {found} ({name}), and the submission is for Flink {version}; name the version that is \
                 there, or provide the other Flink"
            )))
        }
        _ => Ok(()),
    }
}

fn add_dist(resources: &mut Resources, request: &Request<'_>) -> Result<String> {
    let Some(distribution) = &request.options.distribution else {
        return Err(Error::invalid(
            "where Flink is was not said: set yarn.provided.lib.dirs to its lib and plugins on the cluster's file system, \
             or give a distribution of this machine",
        ));
    };
    let name = distribution.dist_jar.file_name().unwrap_or_default().to_string_lossy().into_owned();
    check_dist(&name, request.version)?;
    let item = Item::staged(&name, Location::Path(distribution.dist_jar.clone()), None);
    resources.add(item, ResourceType::File, false)?;
    Ok(name)
}

/// What stands on the class path of every process: `yarn.ship-files`, the program's files, Hadoop's
/// configuration, the logging, and Flink's `lib` where it is uploaded.
fn ship_files(
    request: &Request<'_>,
    config: &FlinkConfig,
    launch: Option<&Launch>,
    with_lib: bool,
) -> Result<Vec<Item>> {
    let key = "yarn.ship-files";
    let mut items = Vec::new();
    for path in list(config, key, Some("yarn.ship-directories"))? {
        let found = of_path(request, key, &path)?;
        if base_name(&path).eq_ignore_ascii_case("usrlib") && found.iter().any(|item| item.key.contains('/')) {
            return Err(Error::invalid(format!(
                "'{path}' in {key} is a usrlib; name it in yarn.provided.usrlib.dir, or give the jars with the program"
            )));
        }
        items.extend(found);
    }
    for file in launch.map(|launch| launch.files.as_slice()).unwrap_or_default() {
        items.push(of_resource(request, file.name.clone(), file)?);
    }
    for (name, bytes) in &request.facts.hadoop_files {
        items.push(Item::bytes(name, bytes.clone()));
    }
    match &request.options.logging {
        LogConfig::Standard => items.push(Item::bytes("log4j.properties", LOG4J)),
        LogConfig::Log4j(text) => items.push(Item::bytes("log4j.properties", text.clone())),
        LogConfig::Logback(text) => items.push(Item::bytes("logback.xml", text.clone())),
        LogConfig::None => {}
    }
    if with_lib && let Some(distribution) = &request.options.distribution {
        items.extend(Item::of_tree(&distribution.lib));
    }
    Ok(items)
}

const ARCHIVES: [&str; 6] = [".tar.gz", ".tar", ".tgz", ".dst", ".jar", ".zip"];

fn archives(request: &Request<'_>, config: &FlinkConfig, launch: Option<&Launch>) -> Result<Vec<Item>> {
    let key = "yarn.ship-archives";
    let mut items = Vec::new();
    for path in list(config, key, None)? {
        items.extend(of_path(request, key, &path)?);
    }
    for archive in launch.map(|launch| launch.archives.as_slice()).unwrap_or_default() {
        items.push(of_resource(request, archive.name.clone(), archive)?);
    }
    for item in &items {
        let lower = item.key.to_lowercase();
        if item.key.contains('/') || !ARCHIVES.iter().any(|ending| lower.ends_with(ending)) {
            return Err(Error::invalid(format!(
                "'{}' in {key} is no archive: YARN unpacks files that end in {}",
                item.key,
                ARCHIVES.join(", ")
            )));
        }
    }
    Ok(items)
}

fn add_kerberos(resources: &mut Resources, config: &FlinkConfig) -> Result<Kerberos> {
    let mut kerberos = Kerberos::default();
    let text = |key: &str| config.get(key).map(str::trim).filter(|text| !text.is_empty());
    let staged = |key: &str, path: &str| {
        let mut item = Item::staged(base_name(path), Location::Path(path.into()), None);
        key.clone_into(&mut item.key);
        item
    };
    if let Some(path) = text("security.kerberos.krb5-conf.path") {
        let item = staged("krb5.conf", path);
        kerberos.remote_krb5 = Some(resources.add(item, ResourceType::File, false)?);
    }
    if let Some(path) = text("security.kerberos.login.keytab") {
        let Some(principal) = text("security.kerberos.login.principal") else {
            return Err(Error::invalid(
                "security.kerberos.login.keytab is set without security.kerberos.login.principal; set both",
            ));
        };
        let local = text("yarn.security.kerberos.localized-keytab-path").unwrap_or("krb5.keytab");
        if truth(config, "yarn.security.kerberos.ship-local-keytab", true)? {
            let item = staged(local, path);
            kerberos.remote_keytab = Some(resources.add(item, ResourceType::File, false)?);
        }
        kerberos.local_keytab = Some(local.to_owned());
        kerberos.principal = Some(principal.to_owned());
    }
    Ok(kerberos)
}

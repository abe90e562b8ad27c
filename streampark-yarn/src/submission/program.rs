//! The files of a program: its jar, the jars beside it, and what of Flink's `opt/` it needs.

use streampark_core::cluster::Submission;
use streampark_core::flink::{FlinkConfig, encode_list_legacy};
use streampark_core::job::{Launch, Location, Runtime};
use streampark_core::{Error, Result};

use super::config::{PYTHON_DRIVER, UserJars};
use super::lookup::{below, of_resource};
use super::place::{base_name, qualified};
use super::request::Request;
use super::resources::{Item, Resources, is_dist_jar};
use crate::facts::ResourceType;

const PYTHON_GATEWAY: &str = "org.apache.flink.client.python.PythonGatewayServer";
const SQL_DRIVER: &str = "org.apache.flink.table.runtime.application.SqlDriver";

/// The parts of Flink's `opt/` that a program of this kind needs.
pub(super) fn add_optional_jar(
    resources: &mut Resources,
    request: &Request<'_>,
    submission: &Submission,
) -> Result<()> {
    let launch = &submission.launch;
    let class = launch.entry_class.as_deref();
    let (jar, what) = if launch.runtime == Runtime::Python || class.is_some_and(is_python_class) {
        (&request.options.python_jar, "a Python program needs flink-python-*.jar of Flink's opt folder; set python_jar")
    } else if class == Some(SQL_DRIVER) && request.version.at_least(2, 0) {
        let what = "Flink's SQL driver needs flink-sql-gateway-*.jar of Flink's opt folder; set sql_gateway_jar";
        (&request.options.sql_gateway_jar, what)
    } else {
        return Ok(());
    };
    let jar = jar.as_ref().ok_or_else(|| Error::invalid(what))?;
    let item = of_resource(request, format!("opt/{}", jar.name), jar)?;
    resources.add_all(vec![item], ResourceType::File)?;
    Ok(())
}

fn is_python_class(class: &str) -> bool {
    class == PYTHON_DRIVER || class == PYTHON_GATEWAY
}

/// The program's jar, which the JobManager finds by the last part of `pipeline.jars`
/// (`YarnApplicationClusterEntryPoint.getUserApplicationJar`).
pub(super) fn add_program(
    resources: &mut Resources,
    request: &Request<'_>,
    submission: &Submission,
    config: &mut FlinkConfig,
    inclusion: UserJars,
) -> Result<Vec<String>> {
    let launch = &submission.launch;
    let Some(jar) = &launch.jar else {
        let flags = ["-py", "-pym", "--python", "--pyModule"];
        let is_python = launch.runtime == Runtime::Python
            || launch.entry_class.as_deref().is_some_and(is_python_class)
            || launch.args.iter().any(|arg| flags.contains(&arg.as_str()));
        if !is_python {
            request.version.require("a program without a jar of its own", 2, 0)?;
        }
        return Ok(Vec::new());
    };
    check_user_jar(resources, &jar.name)?;
    let folder = if inclusion == UserJars::Disabled { "usrlib/" } else { "" };
    let item = of_resource(request, format!("{folder}{}", jar.name), jar)?;
    let uri = match &jar.location {
        Location::Remote(url) if base_name(url.path()) == jar.name => url.as_str().to_owned(),
        _ => format!("file:///{}", jar.name),
    };
    // One entry needs no notation of a list, and every version reads this one.
    config.set("pipeline.jars", encode_list_legacy(&[uri]));
    resources.add_all(vec![item], ResourceType::File)
}

fn check_user_jar(resources: &Resources, name: &str) -> Result<()> {
    if is_dist_jar(name) {
        return Err(Error::invalid(format!(
            "the program's jar '{name}' is called like Flink's own flink-dist, which Flink never ships; rename it"
        )));
    }
    match resources.library_called(name) {
        None => Ok(()),
        Some(library) => Err(Error::invalid(format!(
            "the program's jar '{name}' has the name of Flink's own '{library}': one of both would hide the other; leave it \
             out where it is the same library, else rename it"
        ))),
    }
}

/// Jars beside the program's: those of the program, and a `usrlib` of the cluster or of this machine.
pub(super) fn usrlib(
    request: &Request<'_>,
    config: &FlinkConfig,
    launch: Option<&Launch>,
    resources: &Resources,
) -> Result<Vec<Item>> {
    let mut items = Vec::new();
    let key = "yarn.provided.usrlib.dir";
    if let Some(path) = config.get(key) {
        let dir = qualified(path, &request.facts.default_fs);
        if base_name(&dir) != "usrlib" {
            return Err(Error::invalid(format!("{key} is '{path}', and the folder must be called usrlib; rename it")));
        }
        for file in below(request.facts, &dir, key)? {
            let relative = file.path.get(dir.len() + 1..).unwrap_or_default();
            items.push(Item::in_place(format!("usrlib/{relative}"), file));
        }
    } else if let Some(tree) = request.options.distribution.as_ref().and_then(|dist| dist.usrlib.as_ref()) {
        items.extend(Item::of_tree(tree));
    }
    for jar in launch.map(|launch| launch.jars.as_slice()).unwrap_or_default() {
        check_user_jar(resources, &jar.name)?;
        items.push(of_resource(request, format!("usrlib/{}", jar.name), jar)?);
    }
    Ok(items)
}

//! One walk over all classes of a jar.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::archive::{Archive, Buffers, Entry};
use super::class_file::{Class, Pool};
use super::connector::Connectors;
use super::{FlinkHint, Inspection, MainClass, SqlFunction, flink};
use crate::{Error, ErrorKind, Result};

/// A class file is never so large, and a text of a jar neither.
const MAX_CLASS: usize = 4 << 20;
const MAX_TEXT: usize = 4 << 20;
/// How many classes a thread takes at once.
const BATCH: usize = 256;
/// How many threads look.
const MAX_THREADS: usize = 4;
/// How many names of a kind are told.
const MAX_NAMES: usize = 1_000;

const FACTORIES: &str = "META-INF/services/org.apache.flink.table.factories.Factory";
const FUNCTIONS: &str = "org/apache/flink/table/functions/";

/// Libraries that are widely bundled: their classes count, but what they hold is nobody's job or function, and
/// unpacking them would be most of the work.
const LIBRARIES: [&str; 59] = [
    "akka/",
    "com/amazonaws/",
    "com/fasterxml/",
    "com/github/benmanes/",
    "com/google/",
    "com/mysql/",
    "com/typesafe/",
    "groovy/",
    "io/grpc/",
    "io/netty/",
    "javassist/",
    "kafka/",
    "kotlin/",
    "net/bytebuddy/",
    "net/jpountz/",
    "org/apache/avro/",
    "org/apache/calcite/",
    "org/apache/commons/",
    "org/apache/curator/",
    "org/apache/directory/",
    "org/apache/flink/api/",
    "org/apache/flink/calcite/",
    "org/apache/flink/client/",
    "org/apache/flink/core/",
    "org/apache/flink/runtime/",
    "org/apache/flink/shaded/",
    "org/apache/flink/streaming/api/",
    "org/apache/flink/streaming/runtime/",
    "org/apache/flink/table/api/",
    "org/apache/flink/table/planner/",
    "org/apache/flink/table/runtime/",
    "org/apache/hadoop/",
    "org/apache/hbase/",
    "org/apache/hive/",
    "org/apache/http/",
    "org/apache/kafka/",
    "org/apache/kerby/",
    "org/apache/log4j/",
    "org/apache/logging/",
    "org/apache/lucene/",
    "org/apache/orc/",
    "org/apache/parquet/",
    "org/apache/thrift/",
    "org/apache/velocity/",
    "org/apache/xerces/",
    "org/apache/xml/",
    "org/apache/zookeeper/",
    "org/bouncycastle/",
    "org/codehaus/",
    "org/eclipse/jetty/",
    "org/joda/",
    "org/postgresql/",
    "org/rocksdb/",
    "org/slf4j/",
    "org/springframework/",
    "org/xerial/",
    "org/yaml/",
    "reactor/",
    "scala/",
];

/// What one thread found.
#[derive(Default)]
struct Found {
    mains: Vec<String>,
    /// A class and what it extends, where that may lead to a function.
    parents: Vec<(String, String, bool)>,
    lines: BTreeMap<u16, String>,
    newest: Option<(u16, String)>,
    unread: u64,
}

pub(super) fn scan(path: &Path) -> Result<Inspection> {
    let archive = Archive::open(path)?;
    let mut report = Inspection { size: archive.size, ..Inspection::default() };
    let mut clashes: BTreeMap<&'static str, (u64, String)> = BTreeMap::new();
    let entries = archive.entries(|name, _| {
        report.entries += 1;
        let Some(class) = name.strip_suffix(".class") else {
            return name == "META-INF/MANIFEST.MF"
                || name == FACTORIES
                || (name.starts_with("META-INF/maven/")
                    && (name.ends_with("/pom.xml") || name.ends_with("/pom.properties")));
        };
        report.classes += 1;
        if let Some(library) = flink::clash(class) {
            let seen = clashes.entry(library).or_insert_with(|| (0, class.replace('/', ".")));
            seen.0 += 1;
        }
        // A jar for several versions of Java keeps those for newer ones there; older ones do not see them.
        !class.starts_with("META-INF/") && !class.ends_with("module-info")
    })?;
    report.clashes =
        clashes.into_iter().map(|(library, (count, example))| flink::clash_of(library, count, example)).collect();

    let (mut own, mut texts): (Vec<&Entry>, Vec<&Entry>) = (Vec::new(), Vec::new());
    for entry in &entries {
        match entry.name.ends_with(".class") {
            true if is_library(&entry.name) => {}
            true => own.push(entry),
            false => texts.push(entry),
        }
    }
    // In the order of the file: the disk reads ahead.
    own.sort_by_key(|entry| entry.offset);
    let found = classes(&archive, &own)?;
    read_texts(&archive, &texts, &mut report)?;
    if found.unread > 0 {
        report.warnings.push(format!("{} classes could not be read", found.unread));
    }
    let manifest = report.manifest_class.clone();
    let mut starting = found.mains;
    starting.extend(manifest.clone().filter(|class| is_library(&class.replace('.', "/"))));
    report.main_classes = mains(starting, manifest.as_deref());
    if let Some((major, class)) = found.newest {
        // Java 1.0.2 to 1.4 have 45 to 48; from then on the version is the number less 44 (table 4.1-A).
        report.java = Some(major.saturating_sub(44));
        report.java_class = Some(class.replace('/', "."));
    }
    report.functions = functions(found.parents);
    // What the classes mention is surer than what somebody wrote beside them, but tells less.
    report.flink.sort_by_key(|hint| std::cmp::Reverse(hint.version.matches('.').count()));
    for (line, class) in found.lines {
        report.flink.push(FlinkHint {
            version: line.to_string(),
            from: format!("classes that only Flink {line} has are used by {class}"),
        });
    }
    report.flink.truncate(20);
    Ok(report)
}

fn is_library(name: &str) -> bool {
    LIBRARIES.iter().any(|prefix| name.starts_with(prefix))
}

/// Looks at every class, by several threads.
fn classes(archive: &Archive, entries: &[&Entry]) -> Result<Found> {
    let next = AtomicUsize::new(0);
    let threads = std::thread::available_parallelism().map_or(1, usize::from).min(MAX_THREADS);
    let work = || {
        let (mut found, mut buffers, mut pool) = (Found::default(), Buffers::default(), Pool::default());
        loop {
            let start = next.fetch_add(BATCH, Ordering::Relaxed);
            let Some(batch) = entries.get(start..entries.len().min(start + BATCH)).filter(|batch| !batch.is_empty())
            else {
                return Ok(found);
            };
            for entry in batch {
                match archive.read(entry, MAX_CLASS, &mut buffers) {
                    Ok(bytes) => look(bytes, &mut pool, &mut found),
                    Err(error) if error.kind() == ErrorKind::Program => found.unread += 1,
                    Err(error) => return Err(error),
                }
            }
        }
    };
    let results: Vec<Result<Found>> = std::thread::scope(|scope| {
        let handles: Vec<_> = (1..threads).map(|_| scope.spawn(work)).collect();
        let own = work();
        let joined = handles.into_iter().map(|handle| {
            handle
                .join()
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "reading the classes of a jar ended early")))
        });
        std::iter::once(own).chain(joined).collect()
    });
    let mut all = Found::default();
    for found in results {
        let found = found?;
        all.mains.extend(found.mains);
        all.parents.extend(found.parents);
        for (line, class) in found.lines {
            all.lines.entry(line).and_modify(|known| *known = class.clone().min(known.clone())).or_insert(class);
        }
        all.newest = newer(all.newest.take(), found.newest);
        all.unread += found.unread;
    }
    Ok(all)
}

/// The newer class; of equal ones that with the lesser name, so that an answer is the same each time.
fn newer(one: Option<(u16, String)>, other: Option<(u16, String)>) -> Option<(u16, String)> {
    match (one, other) {
        (Some(one), Some(other)) => {
            let first = one.0 > other.0 || (one.0 == other.0 && one.1 <= other.1);
            Some(if first { one } else { other })
        }
        (one, other) => one.or(other),
    }
}

fn look(bytes: &[u8], pool: &mut Pool, found: &mut Found) {
    let Some((class, name)) = Class::parse(bytes, pool).and_then(|class| class.name().map(|name| (class, name))) else {
        found.unread += 1;
        return;
    };
    let better = found
        .newest
        .as_ref()
        .is_none_or(|(major, known)| class.major > *major || (class.major == *major && name < known.as_str()));
    if better {
        found.newest = Some((class.major, name.to_owned()));
    }
    for line in class.mentions().filter_map(flink::line_of) {
        let known = found.lines.entry(line).or_insert_with(|| name.replace('/', "."));
        if name.replace('/', ".") < *known {
            *known = name.replace('/', ".");
        }
    }
    if let Some(parent) = class.parent().filter(|parent| !is_dull(parent)) {
        found.parents.push((name.to_owned(), parent.to_owned(), class.is_abstract()));
    }
    if class.methods().iter().any(|method| method.is_main()) {
        found.mains.push(name.replace('/', "."));
    }
}

/// Classes below which no function is.
fn is_dull(parent: &str) -> bool {
    parent.starts_with("java/") || parent.starts_with("scala/") || parent.starts_with("kotlin/")
}

fn mains(mut found: Vec<String>, manifest: Option<&str>) -> Vec<MainClass> {
    found.sort();
    found.dedup();
    let mut mains: Vec<MainClass> =
        found.into_iter().map(|class| MainClass { manifest: manifest == Some(class.as_str()), class }).collect();
    mains.sort_by_key(|main| !main.manifest);
    mains.truncate(MAX_NAMES);
    mains
}

/// The classes that extend a function of Flink, directly or through others of the jar.
fn functions(parents: Vec<(String, String, bool)>) -> Vec<SqlFunction> {
    let known: HashMap<&str, &str> =
        parents.iter().map(|(class, parent, _)| (class.as_str(), parent.as_str())).collect();
    let kind_of = |class: &str| {
        let mut at = known.get(class).copied()?;
        for _ in 0..64 {
            if let Some(kind) = at.strip_prefix(FUNCTIONS).filter(|kind| kind.ends_with("Function")) {
                return Some(kind.to_owned());
            }
            at = known.get(at).copied()?;
        }
        None
    };
    let mut functions: Vec<SqlFunction> = parents
        .iter()
        .filter(|(class, _, is_abstract)| !is_abstract && !class.starts_with("org/apache/flink/"))
        .filter_map(|(class, ..)| Some(SqlFunction { class: class.replace('/', "."), kind: kind_of(class)? }))
        .collect();
    functions.sort_by(|one, other| one.class.cmp(&other.class));
    functions.truncate(MAX_NAMES);
    functions
}

fn read_texts(archive: &Archive, texts: &[&Entry], report: &mut Inspection) -> Result<()> {
    let mut buffers = Buffers::default();
    let mut factories = String::new();
    for entry in texts {
        let text = match archive.read(entry, MAX_TEXT, &mut buffers) {
            Ok(bytes) => String::from_utf8_lossy(bytes).into_owned(),
            Err(error) if error.kind() == ErrorKind::Program => {
                report.warnings.push(format!("{} cannot be read", entry.name));
                continue;
            }
            Err(error) => return Err(error),
        };
        match &*entry.name {
            "META-INF/MANIFEST.MF" => report.manifest_class = manifest_class(&text),
            FACTORIES => factories = text,
            name if name.ends_with("pom.xml") => report.flink.extend(flink::hint_of_pom(&text, name)),
            name => report.flink.extend(flink::hint_of_properties(&text, name)),
        }
    }
    let mut names: Vec<&str> = factories
        .lines()
        .map(|line| line.split('#').next().unwrap_or_default().trim())
        .filter(|line| !line.is_empty())
        .collect();
    names.dedup();
    names.truncate(MAX_NAMES);
    if names.is_empty() {
        return Ok(());
    }
    let all = archive.entries(|name, _| name.ends_with(".class"))?;
    let by_name: HashMap<&str, &Entry> = all.iter().map(|entry| (&*entry.name, entry)).collect();
    let mut connectors = Connectors::new(archive, &by_name);
    for name in names {
        match connectors.read(name)? {
            Some(connector) => report.connectors.push(connector),
            None => report.warnings.push(format!("the factory {name} is declared, and its class is not in the jar")),
        }
    }
    Ok(())
}

/// The class that the manifest names, in Flink's order (`PackagedProgram.getEntryPointClassNameFromJar`).
fn manifest_class(manifest: &str) -> Option<String> {
    let whole = manifest.replace("\r\n", "\n").replace('\r', "\n").replace("\n ", "");
    let value = |name: &str| {
        let main = whole.lines().take_while(|line| !line.is_empty()).filter_map(|line| line.split_once(':'));
        main.filter(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim().to_owned()).next()
    };
    value("program-class").or_else(|| value("Main-Class")).filter(|class| !class.is_empty())
}

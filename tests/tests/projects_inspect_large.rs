//! What it costs to look into a large jar; alone in its program, because memory is measured.

use std::fs::File;
use std::io::BufReader;
use std::path::{Path, PathBuf};
use std::time::Duration;

use streampark_core::build::Inspection;

fn flink_dist() -> PathBuf {
    let home = std::env::var("STREAMPARK_TEST_FLINK_1")
        .unwrap_or_else(|_| panic!("STREAMPARK_TEST_FLINK_1 is not set; run: make test-projects"));
    let mut found = std::fs::read_dir(Path::new(&home).join("lib")).unwrap().map(|entry| entry.unwrap().path());
    found.find(|path| path.file_name().unwrap().to_str().unwrap().starts_with("flink-dist")).unwrap()
}

/// The budget: a fat jar of 100 MB within 1 s on two cores and 30 MB, when the program is compiled for speed. Without
/// optimisation the time has more room; the memory has none.
#[test]
fn a_fat_jar_of_a_hundred_megabytes_takes_little() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("fat.jar");
    // All of Flink under a package of nobody's: no class of it can be passed over as a known library's.
    let mut from = zip::ZipArchive::new(BufReader::new(File::open(flink_dist()).unwrap())).unwrap();
    let mut to = zip::ZipWriter::new(File::create(&path).unwrap());
    for index in 0..from.len() {
        let entry = from.by_index_raw(index).unwrap();
        let name = format!("acme/{}", entry.name().unwrap());
        to.raw_copy_file_rename(entry, name).unwrap();
    }
    to.finish().unwrap();
    drop(from);
    let size = std::fs::metadata(&path).unwrap().len();
    assert!(size > 100_000_000, "{size}");
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
    let before = memory("VmHWM");
    let begun = processor_time();
    let found = Inspection::of_jar(&path).unwrap();
    let (took, grown) = (processor_time() - begun, memory("VmHWM") - before);
    println!("{} classes in {size} bytes: {took:?}, {grown} kB more memory", found.classes);
    assert!(found.classes > 20_000 && !found.main_classes.is_empty());
    let limit = if cfg!(debug_assertions) { Duration::from_secs(10) } else { Duration::from_secs(2) };
    assert!(took < limit, "{took:?}");
    assert!(grown < 30_000, "{grown} kB");
}

/// What the process took of the processors (`proc(5)`, fields 14 and 15 of `stat`, in hundredths of a second): unlike
/// the time on the wall it does not tell what else the machine had to do.
fn processor_time() -> Duration {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(") ").unwrap().1.split(' ').collect();
    let ticks: u64 = fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap();
    Duration::from_millis(ticks * 10)
}

/// A figure of the process in kB; its peak begins anew after a 5 is written to `clear_refs` (`proc(5)`).
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().split(' ').next().unwrap().parse().unwrap()
}

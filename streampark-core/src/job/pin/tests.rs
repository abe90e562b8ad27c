use super::*;
use crate::job::{JarProgram, MavenRef, ModuleRef, ResourceRef, SqlProgram};

fn module(name: &str) -> Dependency {
    Dependency::Module(ModuleRef::new("shop").module(name))
}

fn resource(name: &str, version: Option<&str>) -> Dependency {
    let mut wanted = ResourceRef::new(name);
    wanted.version = version.map(str::to_owned);
    Dependency::Resource(wanted)
}

#[test]
fn names_are_replaced_where_they_stand_and_the_rest_stays() {
    let mut spec = JobSpec::new("job", JarProgram::new(module("orders")));
    spec.dependencies =
        vec![Dependency::from("a.jar"), resource("udfs", None), Dependency::Maven(MavenRef::new("a:b:1"))];
    assert!(spec.has_names_to_pin());
    let exact = Dependency::Module(ModuleRef::new("shop").module("orders").build("7"));
    let pins = [
        Pin::new(module("orders"), [exact.clone(), Dependency::from("beside.jar")])
            .fact("build", "7")
            .fact("commit", "ab"),
        Pin::new(resource("udfs", None), [resource("one", Some("1")), resource("two", Some("2"))]),
    ];
    let pinned = spec.clone().pinned(&pins);
    assert_eq!(pinned.program, JarProgram::new(exact).into());
    let beside = Dependency::from("beside.jar");
    let wanted = [
        beside,
        Dependency::from("a.jar"),
        resource("one", Some("1")),
        resource("two", Some("2")),
        Dependency::Maven(MavenRef::new("a:b:1")),
    ];
    assert_eq!(pinned.dependencies, wanted);
    assert_eq!(spec.clone().pinned(&[]), spec);
    assert_eq!(pins[0].to_string(), "module 'orders' of project 'shop' (build 7, commit ab)");
    let plain = JobSpec::new("job", SqlProgram::new("INSERT INTO a SELECT 1"));
    assert!(!plain.has_names_to_pin());
}

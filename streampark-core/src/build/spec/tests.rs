use super::*;

const YAML: &str = "\
name: orders
git: ssh://git@git.example.com/team/orders.git
ref: main
credentials: {key: {file: /etc/keys/orders, passphrase: env:ORDERS_KEY}}
builder: {maven: {profiles: [prod]}}
modules: [jobs/orders, {name: jobs/returns, jar: 'returns-*-all.jar'}]
owner: team-orders
environment: prod
";

#[test]
fn yaml_and_code_say_the_same() {
    let read = ProjectSpec::from_yaml(YAML).unwrap();
    let key = CredentialsSpec::Key { file: "/etc/keys/orders".into(), passphrase: Some("env:ORDERS_KEY".into()) };
    let made = ProjectSpec::git("orders", "ssh://git@git.example.com/team/orders.git")
        .reference("main")
        .credentials(key)
        .builder(BuilderSpec::Maven(MavenOptions::default().profile("prod")))
        .module("jobs/orders")
        .module(ModuleSpec::new("jobs/returns").jar("returns-*-all.jar"))
        .owner("team-orders")
        .environment("prod");
    assert_eq!(read, made);
    let json = serde_json::to_string(&made).unwrap();
    assert_eq!(serde_json::from_str::<ProjectSpec>(&json).unwrap(), made);
    for builder in
        ["{gradle: {task: shadowJar}}", "{command: {argv: [./build.sh], outputs: {a: [dist/a.jar]}}}", "{none: {}}"]
    {
        ProjectSpec::from_yaml(&format!("{{name: a, local: /work, builder: {builder}}}")).unwrap();
    }
}

#[test]
fn what_breaks_a_rule_is_told_with_the_rule() {
    let refusal = |text: &str| ProjectSpec::from_yaml(text).unwrap_err().to_string();
    assert_eq!(
        refusal("{name: orders}"),
        "project.spec: a project has either the field git or the field local (project: orders)"
    );
    assert_eq!(
        refusal("{name: orders, git: 'https://x.example/a', credentials: {token: s3cret}}"),
        "project.spec: the credentials of a project hold a secret itself; name where it is instead, as env:NAME or file:/path, because projects are kept in files (project: orders)"
    );
    assert!(!refusal("{name: orders, git: 'https://x.example/a', credentials: {token: s3cret}}").contains("s3cret"));
    assert_eq!(
        refusal("{name: ../orders, local: /work}"),
        "build.options: the project name '../orders' is refused: use letters, digits, '.', '_' and '-', and begin with a letter, a digit or '_'"
    );
    assert_eq!(
        refusal("{name: orders, local: /work, modules: [a, a]}"),
        "project.spec: the module 'a' is named twice (project: orders)"
    );
    assert!(refusal("{name: orders, local: /work, ref: -x}").starts_with("project.ref: the ref \"-x\" is refused"));
    assert!(
        refusal("{name: orders, local: /work, builder: {maven: {goals: deploy}}}").contains("unknown field `goals`")
    );
    let shell = "{name: orders, local: /work, builder: {command: {argv: [sh, -c, id]}}}";
    assert!(refusal(shell).contains("would run a text as commands"));
}

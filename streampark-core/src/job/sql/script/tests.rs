use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> SqlScript {
    SqlScript::parse(text).unwrap()
}

fn texts(text: &str) -> Vec<String> {
    parse(text).statements().iter().map(|s| s.text.clone()).collect()
}

fn kinds(text: &str) -> Vec<StatementKind> {
    parse(text).statements().iter().map(|s| s.kind).collect()
}

fn refusal(text: &str) -> String {
    let error = SqlScript::parse(text).and_then(|script| script.check()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Program);
    error.to_string()
}

#[test]
fn a_semicolon_ends_a_statement_only_where_flink_says_so() {
    for (text, count) in [
        ("INSERT INTO a VALUES (1); INSERT INTO b VALUES (2)", 2),
        ("INSERT INTO a VALUES ('x;y'); SET 'k'='v';", 2),
        ("VALUES ('it''s; fine'); VALUES (2)", 2),
        ("VALUES (1) -- one; two\n; VALUES (2)", 2),
        ("VALUES (1) -- don't\n; VALUES (2)", 2),
        ("VALUES (1) // don't; stop\r; VALUES (2)", 2),
        ("VALUES /* ; */ (1); VALUES (2)", 2),
        ("/* don't */ VALUES (1); VALUES (2)", 2),
        ("/* /* not nested */ VALUES (1); VALUES (2)", 2),
        ("VALUES ('--'); VALUES ('//')", 2),
        ("VALUES ('/* '); VALUES (' */')", 2),
        ("SELECT `a;b`, `c``;d`, `it's` FROM t; VALUES (2)", 2),
        ("SELECT * FROM t /*+ OPTIONS('k'='x;*/y') */; VALUES (2)", 2),
        (r"VALUES ('a\'); VALUES (2)", 2),
        (r"VALUES (E'a\';b'); VALUES (2)", 2),
        (r"SELECT name'a\' FROM t; VALUES (2)", 2),
        (r"ADD JAR 'C:\x;y.jar'; VALUES (1)", 2),
        ("VALUES ('；;', 'a\"b;'); SELECT 1 FROM `表；`", 2),
        ("VALUES (1);\r\nVALUES (2);\r\n", 2),
        (";;VALUES (1);;;VALUES (2);;", 2),
        ("VALUES (1); -- bye\n/* end */", 1),
        ("-- nothing\n/* here */", 0),
        ("", 0),
        ("VALUES (1)", 1),
        ("SET parallelism.default = 4;\nVALUES (1);", 2),
        ("SET state.checkpoints.dir = hdfs://nn:8020/cp; VALUES (1)", 2),
        ("SET 'u' = 'jdbc:mysql://h/d?a=1;b=2';\nVALUES (1)", 2),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO a VALUES (1); INSERT INTO b VALUES (2); END; VALUES (1)", 2),
        (
            "EXECUTE STATEMENT SET\nBEGIN\nINSERT INTO a VALUES (1);\n-- a; b\nINSERT INTO b VALUES (2);\nEND;\nVALUES (1);",
            2,
        ),
        ("explain statement set begin insert into a values (1); end; VALUES (1)", 2),
        ("COMPILE PLAN 'p' FOR STATEMENT SET BEGIN INSERT INTO a VALUES (1); END; VALUES (1)", 2),
        ("BEGIN STATEMENT SET;\nINSERT INTO a VALUES (1);\nINSERT INTO b VALUES (2);\nEND;", 4),
        (
            "EXECUTE STATEMENT SET BEGIN INSERT INTO a SELECT CASE WHEN x THEN 1 END FROM b; \
             INSERT INTO c SELECT CASE WHEN y THEN 2 END; END; VALUES (1)",
            2,
        ),
        ("SELECT CASE WHEN a THEN 1 ELSE 2 END; VALUES (2)", 2),
        ("EXECUTE STATEMENT SET BEGIN END; VALUES (1)", 2),
    ] {
        assert_eq!(texts(text).len(), count, "{text}");
    }
}

#[test]
fn a_statement_knows_its_place_and_ends_before_comments() {
    let text = "-- head\n\n  SET 'a' = 'b' ; /* x */ CREATE TABLE t (n INT)\r\n  -- tail\r\n;\r\n表 -- 2\rINSERT INTO t VALUES (1) -- last";
    let script = parse(text);
    let places: Vec<_> = script.statements().iter().map(|s| (s.number, s.line, s.column, s.text.as_str())).collect();
    assert_eq!(
        places,
        [
            (1, 3, 3, "SET 'a' = 'b'"),
            (2, 3, 27, "CREATE TABLE t (n INT)"),
            (3, 6, 1, "表 -- 2\rINSERT INTO t VALUES (1)"),
        ]
    );
    let wide = parse("SET 'k' = '表𠀀'; VALUES (1)");
    assert_eq!(wide.statements()[1].column, 17, "columns are characters");
}

#[test]
fn kinds_are_told_by_leading_words() {
    use StatementKind as K;
    for (text, kind) in [
        ("set 'a'='b'", K::Set),
        ("RESET", K::Reset),
        ("INSERT OVERWRITE t VALUES (1)", K::Insert),
        ("EXECUTE INSERT INTO t VALUES (1)", K::Insert),
        ("/* c */ insert /* d */ into t VALUES (1)", K::Insert),
        ("EXECUTE STATEMENT SET BEGIN INSERT INTO t VALUES (1); END", K::StatementSet),
        ("CREATE TABLE t (a INT) WITH ('x' = 'AS')", K::Create),
        ("CREATE TABLE t (a AS PROCTIME(), b ROW<c INT>) WITH ('x'='y')", K::Create),
        ("CREATE VIEW table_as AS SELECT 1", K::Create),
        ("CREATE TABLE t WITH ('x'='y') AS SELECT 1", K::CreateTableAs),
        ("CREATE OR REPLACE TABLE t AS SELECT 1", K::CreateTableAs),
        ("CREATE TEMPORARY FUNCTION f AS 'com.acme.F'", K::Create),
        ("ADD JAR 'x.jar'", K::Jar),
        ("WITH a AS (SELECT 1) SELECT * FROM a", K::Query),
        ("(SELECT 1)", K::Query),
        ("DESC t", K::Ask),
        ("CALL sys.compact('t')", K::Change),
        ("EXECUTE PLAN 'p.json'", K::Plan),
        ("QUIT", K::Shell),
        ("SELEC 1", K::Other),
    ] {
        assert_eq!(kinds(text), [kind], "{text}");
    }
}

#[test]
fn settings_are_read_as_the_runner_reads_them() {
    let script =
        parse("SET 'a.b' = 'x''y'; SET  parallelism.default=4 ; SET s = hdfs://h/p; RESET 'a.b'; SET 'u' = ''");
    let expected = [("a.b", "x'y"), ("parallelism.default", "4"), ("s", "hdfs://h/p"), ("u", "")];
    assert_eq!(script.settings(), expected.map(|(k, v)| (k.to_owned(), v.to_owned())));
}

#[test]
fn what_is_not_closed_is_told_with_its_place() {
    assert_eq!(refusal("INSERT INTO t\nVALUES ('a, 1);\n"), "the text (') at line 2, column 9 is not closed");
    assert_eq!(refusal("SET 'a'='b';\nSELECT `x FROM t;"), "the quoted name (`) at line 2, column 8 is not closed");
    assert_eq!(refusal("VALUES (1);\n\n /* what"), "the comment at line 3, column 2 is not closed");
    assert_eq!(
        refusal("EXECUTE STATEMENT SET\nBEGIN INSERT INTO a VALUES (1); INSERT INTO b SELECT 1 END;"),
        "the statement set at line 1, column 1 has no END; write BEGIN, INSERT statements that each end with a semicolon, then END"
    );
}

#[test]
fn what_cannot_become_one_job_is_told_before_it_is_sent() {
    assert_eq!(refusal(" ;-- nothing\n"), "the script is empty; a job needs at least one INSERT INTO");
    assert_eq!(
        refusal("SET 'a'='b';\nCREATE TABLE t (a INT);"),
        "nothing to run: the script ends with statement 2 at line 2 and has no INSERT INTO; a job writes to a table"
    );
    assert_eq!(
        refusal("CREATE TABLE t (a INT);\n  SELECT *\nFROM t"),
        "statement 2 at line 2, column 3: SELECT * FROM t: its result would go nowhere; a job writes to a table: use INSERT INTO … SELECT"
    );
    assert_eq!(
        refusal("INSERT INTO t VALUES (1);\nSHOW TABLES"),
        "statement 2 at line 2, column 1: SHOW TABLES: it answers a person, and a job has nobody to tell; take it out"
    );
    assert_eq!(refusal("SET;"), "statement 1 at line 1, column 1: SET: a setting is written SET 'key' = 'value'");
    assert_eq!(
        refusal("QUIT;"),
        "statement 1 at line 1, column 1: QUIT: it is a command of the SQL shell; take it out"
    );
    assert!(
        refusal("EXECUTE STATEMENT SET BEGIN INSERT INTO a VALUES (1); END;\nINSERT INTO b VALUES (2)")
            .contains("a second job beside statement 1")
    );
    assert!(refusal("BEGIN STATEMENT SET; INSERT INTO a VALUES (1);").contains("the statement set has no END"));
    assert!(refusal("INSERT INTO a VALUES (1); END;").contains("there is no BEGIN STATEMENT SET before it"));
    assert!(refusal("BEGIN STATEMENT SET; CREATE TABLE t (a INT); END").contains("holds INSERT statements only"));
    for good in [
        "INSERT INTO a VALUES (1); INSERT INTO b VALUES (2);",
        "BEGIN STATEMENT SET; INSERT INTO a VALUES (1); END;",
        "CREATE TABLE t WITH ('x'='y') AS SELECT 1",
        "EXECUTE PLAN 'p.json'",
    ] {
        parse(good).check().unwrap();
    }
}

#[test]
fn errors_show_no_secret() {
    let message = refusal("SELECT * FROM t /*+ OPTIONS('password'='canary') */");
    assert!(!message.contains("canary"), "{message}");
}

/// Texts made of what the lexer decides on.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        "[ \n\r\t]{1,3}",
        "(?s)[a-z;'`\"=/*.<>()表𠀀\\\\-]{0,6}",
        Just("EXECUTE STATEMENT SET BEGIN ".to_owned()),
        Just("INSERT INTO t SELECT CASE WHEN a THEN 1 END;".to_owned()),
        Just("END;".to_owned()),
        Just("-- x;'\n".to_owned()),
        Just("/*+ A('k'='v') */".to_owned()),
        Just("/* ; */".to_owned()),
        Just("SET 'a' = 'b''c';".to_owned()),
        Just("E'\\''".to_owned()),
    ];
    prop::collection::vec(piece, 0..12).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn nothing_is_lost_and_nothing_panics(text in prop_oneof![pieces(), any::<String>()]) {
        let shown = mask::masked(&text);
        prop_assert!(!shown.is_empty() || text.is_empty());
        if let Ok(script) = SqlScript::parse(&text) {
            let _ = script.check();
            let (mut at, mut joined) = (0, String::new());
            for statement in script.statements() {
                let gap = &text[at..statement.span.start];
                prop_assert!(Lexer::new(gap).all(|token| token.is_ok_and(|token| token.kind == TokenKind::End)), "{gap:?}");
                joined.push_str(gap);
                joined.push_str(&statement.text);
                at = statement.span.end;
                prop_assert_eq!(&text[statement.span.clone()], &statement.text);
            }
            joined.push_str(&text[at..]);
            prop_assert_eq!(joined, text);
        }
    }

    #[test]
    fn statements_survive_being_joined_again(text in pieces()) {
        if let Ok(script) = SqlScript::parse(&text) {
            let texts: Vec<String> = script.statements().iter().map(|s| s.text.clone()).collect();
            let again = SqlScript::parse(&texts.join("\n;\n")).unwrap();
            prop_assert_eq!(again.statements().iter().map(|s| s.text.clone()).collect::<Vec<_>>(), texts);
        }
    }
}

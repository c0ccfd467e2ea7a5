//! Lists as releases of Cyrus have written them.

use super::*;

fn rows(form: Form, text: &str, server: Option<&str>) -> (Vec<String>, Vec<String>) {
    let server = server.map(|server| ServerName::new(server.to_owned()).expect("legal"));
    let (mut good, mut bad) = (Vec::new(), Vec::new());
    let done = read(form, text.as_bytes(), server.as_ref(), &mut |_, row| {
        match row {
            Ok(Row { mailbox, record }) => {
                let state = match &record.state {
                    State::Active(acl) => format!("active {}", acl.as_bytes().escape_ascii()),
                    State::Reserved => "reserved".into(),
                };
                good.push(format!("{mailbox} {} {state}", record.location));
            }
            Err(fault) => bad.push(fault.to_string()),
        }
        Ok(())
    });
    done.expect("a list");
    (good, bad)
}

const TEXT: &str = "user.a\t1 be1.test!default a\tlrswipkxtecda\tadmin\tlrs\t\nuser.b c\t3 be2.test! \nuser.l\t0 part \
                    l\tlrs\t\nnonsense\nuser.d\tx y\n";

#[test]
fn the_text_of_2_x_to_3_4() {
    let (good, bad) = rows(Form::CyrusText(Release::OLD), TEXT, Some("be9"));
    let expected = [
        "user.a be1.test!default active a\\tlrswipkxtecda\\tadmin\\tlrs\\t",
        "user.b c be2.test! reserved",
        "user.l be9!part active l\\tlrs\\t",
    ];
    assert_eq!(good, expected);
    assert!(bad[0].starts_with("line 4: has no TAB") && bad[1].starts_with("line 5: has no type"), "{bad:?}");
    let (_, bad) = rows(Form::CyrusText(Release::OLD), TEXT, None);
    assert!(bad[0].starts_with("line 3: is on the server that wrote the list"), "{bad:?}");
    let (good, _) = rows(Form::CyrusText("3.5".parse().expect("a release")), "user.a\t48 be1!p \n", None);
    assert_eq!(good, ["user.a be1!p reserved"]);
    for (text, release) in
        [("2.4.17", Ok(Release::OLD)), ("3.4", Ok(Release::OLD)), ("3.12", Ok(Release::NEW))]
    {
        assert_eq!(text.parse(), release);
    }
    assert!("4".parse::<Release>().is_err() && "x".parse::<Release>().is_err());
}

/// As `ctl_mboxlist -d` of 3.6.1 has it, the last two with something wrong.
const JSON: &str = r#"{
"user.s": {"name": "user.s", "mtime": "1795703753", "uidvalidity": "1", "createdmodseq": "1", "mbtype": "er", "partition": "default", "server": "be1.test", "acl": {"z": "lrs", "b": "lrswip"}, "uniqueid": "abcdef", "name_history": []},
"user.w": {"name": "user.w", "mbtype": "erz", "partition": "default", "server": "be1.test", "acl": {}, "uniqueid": "u3"},
"user.l": {"name": "user.l", "mbtype": "e", "partition": "default", "acl": {"l": "lrs"}},
"user.x": {"mbtype": 5},
"user.y": {"server": "be1.test", "acl": [1]}
}
"#;

#[test]
fn the_json_of_3_6_and_later() {
    let (good, bad) = rows(Form::CyrusJson, JSON, Some("be9"));
    let expected = [
        "user.s be1.test!default active z\\tlrs\\tb\\tlrswip\\t",
        "user.w be1.test!default reserved",
        "user.l be9!default active l\\tlrs\\t",
    ];
    assert_eq!(good, expected, "an ACL keeps its sequence");
    assert_eq!(
        bad,
        ["line 5: user.x has an mbtype that is no text", "line 6: user.y has an acl that is none"]
    );
    let broken = read(Form::CyrusJson, &b"{\"user.a\": {}"[..], None, &mut |_, _| Ok(()));
    assert_eq!(broken.expect_err("it has no end").kind(), io::ErrorKind::InvalidData);
    let stop = read(Form::CyrusJson, JSON.as_bytes(), None, &mut |_, _| Err(io::Error::other("enough")));
    assert_eq!(stop.expect_err("stopped").to_string(), "enough");
}

#[test]
fn what_is_written_is_what_ctl_mboxlist_takes() {
    let (text, json) = (Form::CyrusText(Release::OLD), Form::CyrusJson);
    let written = |form| {
        let mut writer = Writer::new(form, Vec::new());
        read(text, TEXT.as_bytes(), None, &mut |_, row| row.map_or(Ok(()), |row| writer.row(&row)))
            .expect("a list");
        String::from_utf8(writer.end().expect("memory")).expect("text")
    };
    let expected: String = TEXT.lines().take(2).map(|line| format!("{line}\n")).collect();
    assert_eq!(written(text), expected.replace("be2.test! ", "be2.test!default "));
    let list = written(json);
    assert!(list.starts_with("{\n\"user.a\": {\"name\": \"user.a\", \"mtime\": \"0\", "), "{list}");
    let ids: Vec<_> = list.split("\"uniqueid\": ").skip(1).collect();
    assert!(ids.len() == 2 && ids[0] != ids[1] && list.contains("\"mbtype\": \"rz\""), "{list}");
    assert_eq!(rows(json, &list, None), rows(Form::JsonLines, &written(Form::JsonLines), None));
    for list in [TEXT, JSON, &list, &written(Form::JsonLines), "{}", "[]", "{\"a\":{\"server\":\"b!c\"}}"] {
        harness::list(list.as_bytes());
    }
}

//! Lists of mailboxes, whatever stands in them: what the fuzz target and the tests both call.

use mupdate_proto::Location;

use super::{Fault, Form, Release, Row, Writer, read, text};

/// Read `data` in every form, and panic at the first broken promise:
///
/// - faults are told in sequence, on one line and without control characters;
/// - what was read is written, if its form has a way to, and read again to the same.
pub fn list(data: &[u8]) {
    for form in
        [Form::CyrusText(Release::OLD), Form::CyrusText(Release::NEW), Form::CyrusJson, Form::JsonLines]
    {
        let (mut rows, mut faults) = (Vec::new(), Vec::<Fault>::new());
        let _ = read(form, data, None, &mut |at, row| {
            assert!(row.as_ref().err().is_none_or(|fault| fault.at == at));
            match row {
                Ok(row) => rows.push(row),
                Err(fault) => faults.push(fault),
            }
            Ok(())
        });
        assert!(faults.is_sorted_by_key(|fault| fault.at));
        assert!(faults.iter().all(|fault| !fault.to_string().contains(char::is_control)), "{faults:?}");
        let mut writer = Writer::new(form, Vec::new());
        let written: Vec<Row> = rows.into_iter().filter(|row| writer.row(row).is_ok()).collect();
        let list = writer.end().expect("memory takes whatever is written");
        let mut again = Vec::new();
        let written: Vec<Row> = written.into_iter().map(|row| expected(form, row)).collect();
        let read = read(form, &list[..], None, &mut |_, row| {
            again.push(row.expect("what was written is right"));
            Ok(())
        });
        read.expect("what was written is a list");
        assert_eq!(again, written);
    }
}

/// What is read of a row that was written: in text, every location has a partition.
fn expected(form: Form, Row { mailbox, mut record }: Row) -> Row {
    if let Form::CyrusText(_) = form {
        record.location = Location::new(text::place(record.location.as_bytes())).expect("a longer one");
    }
    Row { mailbox, record }
}

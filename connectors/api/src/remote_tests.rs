use super::*;
use crate::paths::FilesRoots;
use crate::{ConnectorContext, OptionScope, Options};

const SPECS: &[OptionSpec] = &[
    OptionSpec::text("user", OptionScope::UserMapping),
    OptionSpec::secret("password", OptionScope::UserMapping),
    OptionSpec::secret("token", OptionScope::UserMapping),
];

fn texts(mapping: &[(&str, &str)]) -> RemoteText {
    let user_options: Options = mapping.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    RemoteText::new(
        SPECS,
        &ServerSpec {
            name: "s".into(),
            options: Options::default(),
            user_options,
            context: ConnectorContext { files: FilesRoots::default(), superuser: false, network_allow: Vec::new() },
        },
    )
}

const SECRET: &str = "Kn4r/7f+ '\"0=é";

#[test]
fn every_spelling_is_hidden() {
    let texts = texts(&[("user", "ann9"), ("password", SECRET)]);
    let hex: String = SECRET.bytes().map(|byte| format!("{byte:02x}")).collect();
    let url: String = SECRET.bytes().map(|byte| format!("%{byte:02X}")).collect();
    let spelled = [
        SECRET.to_owned(),
        hex.clone(),
        hex.to_uppercase(),
        url.clone(),
        url.to_lowercase(),
        "Kn4r%2F7f%2B+%27%220%3D%C3%A9".to_owned(),
        "Kn4r/7f+%20'%220=%c3%a9".to_owned(),
        format!("{SECRET:?}").trim_matches('"').to_owned(),
        SECRET.replace('\'', "''"),
    ];
    for one in spelled {
        assert_eq!(texts.clean(&format!("bad password «{one}» for ann9")), "bad password «***» for ann9");
        assert_eq!(texts.clean(&one), "***");
        assert_eq!(texts.clean(&format!("{one}{one}")), "******");
    }
    for before in ["", "a", "ab", "abc"] {
        let encoded = BASE64.encode(format!("{before}{SECRET}"));
        for encoded in [encoded.clone(), encoded.replace('+', "-").replace('/', "_")] {
            let cleaned = texts.clean(&format!("Basic {encoded}!"));
            // What its neighbours share with it may stay before it, never behind it.
            assert!(cleaned.starts_with("Basic ") && cleaned.ends_with("***!"), "{cleaned}");
            assert!(cleaned.len() <= "Basic ***!".len() + before.len() + 1, "{cleaned}");
        }
    }
    let half = &SECRET[..SECRET.len() - 2];
    assert_eq!(texts.clean(half), half);
}

#[test]
fn only_secrets_are_hidden_and_not_the_shortest() {
    let texts = texts(&[("user", "postgres"), ("password", "abc"), ("token", "abcd")]);
    assert_eq!(texts.clean("postgres abc abcd ABCD"), "postgres abc *** ABCD");
    assert!(!format!("{texts:?}").contains("abc"));
}

#[test]
fn secrets_that_overlap_leave_no_rest() {
    let texts = texts(&[("password", "onetwo"), ("token", "twothree")]);
    assert_eq!(texts.clean("<onetwothree>"), "<***>");
    assert_eq!(texts.clean("<onetwotwothree>"), "<******>");
}

#[test]
fn long_texts_are_cut_between_characters() {
    let texts = texts(&[("password", "geheim")]);
    let exact = "z".repeat(TEXT_BYTES_MAX);
    assert_eq!(texts.clean(&exact), exact);
    for unit in ["z", "é", "語", "🦀", "x🦀"] {
        let cleaned = texts.clean(&unit.repeat(3_000_000));
        assert!(cleaned.ends_with(CUT) && cleaned.len() <= TEXT_BYTES_MAX + CUT.len(), "{unit} {}", cleaned.len());
        assert!(cleaned.starts_with(&unit.repeat(TEXT_BYTES_MAX / unit.len() - 1)), "{unit}");
    }
    // At every place around the cut: nothing of the secret is left.
    for before in TEXT_BYTES_MAX - 10..=TEXT_BYTES_MAX + 1 {
        let cleaned = texts.clean(&format!("{}geheim{}", "z".repeat(before), "y".repeat(100)));
        assert!(!cleaned.contains('g') && cleaned.ends_with(CUT), "{before}");
    }
    // And where most of a text is hidden.
    let hidden = texts.clean(&"geheim".repeat(1_000_000));
    assert!(hidden.len() <= TEXT_BYTES_MAX + CUT.len() && !hidden.contains('g'));
}

#[test]
fn terminals_are_not_steered() {
    let texts = RemoteText::default();
    assert_eq!(texts.clean("a\x1b[31m\r\nb\tc\0\u{9b}d\x7f"), "a [31m \nb\tc  d ");
}

#[test]
fn every_text_of_an_error_is_cleaned() {
    let texts = texts(&[("password", "K4n4r1")]);
    let said = || "K4n4r1\x1b".to_owned() + &"z".repeat(100_000);
    let remote = ConnectorError::Remote {
        server: "s".into(),
        sqlstate: "K4n4r1".into(),
        message: said(),
        detail: Some(said()),
        hint: Some(said()),
        remote_sql: Some("SELECT 'K4n4r1'".into()),
    };
    let login = ConnectorError::Login { server: "s".into(), message: said() };
    let cause = || -> crate::error::Cause { Arc::new(std::io::Error::other(std::io::Error::other(said()))) };
    let connect = ConnectorError::Connect { server: "s".into(), source: cause() };
    let lost = ConnectorError::ConnectionLost { server: "s".into(), source: cause() };
    for error in [remote, login, connect, lost] {
        let error = texts.error(error);
        let debug = format!("{error:?}");
        assert!(!debug.contains("K4n4r1") && !debug.contains("\\u{1b}"), "{error}");
        assert!(debug.contains("*** zzz") && debug.len() < 4 * TEXT_BYTES_MAX, "{error}");
    }
}

#[test]
fn what_is_known_of_an_error_stays() {
    let texts = texts(&[("password", "password")]);
    let remote = |sqlstate: &str| {
        let error = ConnectorError::Remote {
            server: "s".into(),
            sqlstate: sqlstate.into(),
            message: "division by zero".into(),
            detail: None,
            hint: None,
            remote_sql: Some("SELECT 1".into()),
        };
        let ConnectorError::Remote { sqlstate, message, remote_sql, .. } = texts.error(error) else { unreachable!() };
        assert_eq!((message.as_str(), remote_sql.as_deref()), ("division by zero", Some("SELECT 1")));
        sqlstate
    };
    assert_eq!(remote("22012"), "22012");
    assert_eq!((remote("220123"), remote("2201\u{1b}")), ("HV000".into(), "HV000".into()));
    let login =
        |message: &str| texts.error(ConnectorError::Login { server: "s".into(), message: message.into() }).to_string();
    assert_eq!(
        login("password authentication failed for user \"u\""),
        "server \"s\" refused the login: the password was not accepted"
    );
    assert_eq!(login("no"), "server \"s\" refused the login: no");
}

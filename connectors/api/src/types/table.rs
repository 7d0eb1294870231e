//! PostgreSQL's built-in types: OIDs and names as `pg_type.dat` of PostgreSQL 15 gives them.

use super::PgType;

/// OIDs of built-in types.
#[expect(missing_docs, reason = "the names are PostgreSQL's")]
pub mod oids {
    pub const BOOL: u32 = 16;
    pub const BYTEA: u32 = 17;
    pub const CHAR: u32 = 18;
    pub const NAME: u32 = 19;
    pub const INT8: u32 = 20;
    pub const INT2: u32 = 21;
    pub const INT2VECTOR: u32 = 22;
    pub const INT4: u32 = 23;
    pub const REGPROC: u32 = 24;
    pub const TEXT: u32 = 25;
    pub const OID: u32 = 26;
    pub const XID: u32 = 28;
    pub const CID: u32 = 29;
    pub const OIDVECTOR: u32 = 30;
    pub const JSON: u32 = 114;
    pub const XML: u32 = 142;
    pub const POINT: u32 = 600;
    pub const CIDR: u32 = 650;
    pub const FLOAT4: u32 = 700;
    pub const FLOAT8: u32 = 701;
    pub const UNKNOWN: u32 = 705;
    pub const MACADDR8: u32 = 774;
    pub const MONEY: u32 = 790;
    pub const MACADDR: u32 = 829;
    pub const INET: u32 = 869;
    pub const TEXT_ARRAY: u32 = 1009;
    pub const INT4_ARRAY: u32 = 1007;
    pub const ACLITEM: u32 = 1033;
    pub const BPCHAR: u32 = 1042;
    pub const VARCHAR: u32 = 1043;
    pub const DATE: u32 = 1082;
    pub const TIME: u32 = 1083;
    pub const TIMESTAMP: u32 = 1114;
    pub const TIMESTAMPTZ: u32 = 1184;
    pub const INTERVAL: u32 = 1186;
    pub const TIMETZ: u32 = 1266;
    pub const BIT: u32 = 1560;
    pub const VARBIT: u32 = 1562;
    pub const NUMERIC: u32 = 1700;
    pub const REGCLASS: u32 = 2205;
    pub const REGTYPE: u32 = 2206;
    pub const UUID: u32 = 2950;
    pub const JSONB: u32 = 3802;
    pub const RECORD: u32 = 2249;
    pub const VOID: u32 = 2278;
    pub const JSONPATH: u32 = 4072;
    pub const REGNAMESPACE: u32 = 4089;
    pub const REGROLE: u32 = 4096;
}

/// A built-in type.
#[derive(Debug, Clone, Copy)]
pub struct BuiltinType {
    /// `pg_type.oid`.
    pub oid: u32,
    /// `pg_type.typname`.
    pub name: &'static str,
    /// As `format_type` prints it, without a modifier.
    pub sql_name: &'static str,
    /// `pg_type.typarray`, or 0.
    pub array: u32,
    /// The element's OID where this is an array, or 0.
    pub element: u32,
    /// `pg_type.typlen`.
    pub length: i16,
    /// `pg_type.typcategory`.
    pub category: char,
}

impl BuiltinType {
    /// The built-in type with an OID.
    pub fn by_oid(oid: u32) -> Option<&'static Self> {
        BUILTIN.iter().find(|builtin| builtin.oid == oid)
    }

    /// The built-in type with a name: `typname` or SQL name, lower case, or an alias such as `int` or `decimal`.
    pub fn by_name(name: &str) -> Option<&'static Self> {
        let name = match name {
            "int" | "serial" => "int4",
            "bigserial" => "int8",
            "smallserial" => "int2",
            "decimal" | "dec" => "numeric",
            "float" | "double" => "float8",
            "char" | "character" => "bpchar",
            "string" => "text",
            other => other,
        };
        BUILTIN.iter().find(|builtin| builtin.name == name).or_else(|| BUILTIN.iter().find(|b| b.sql_name == name))
    }
}

macro_rules! builtin {
    ($($oid:literal $name:literal $sql:literal $array:literal $length:literal $category:literal;)*) => {
        /// Every built-in type that Atoll knows, arrays included.
        pub static BUILTIN: &[BuiltinType] = &[
            $(BuiltinType { oid: $oid, name: $name, sql_name: $sql, array: $array, element: 0, length: $length, category: $category },)*
            $(BuiltinType { oid: if $array == 0 { u32::MAX } else { $array }, name: concat!("_", $name), sql_name: concat!($sql, "[]"), array: 0, element: $oid, length: -1, category: 'A' },)*
        ];
    };
}

builtin! {
    16 "bool" "boolean" 1000 1 'B';
    17 "bytea" "bytea" 1001 -1 'U';
    18 "char" "\"char\"" 1002 1 'Z';
    19 "name" "name" 1003 64 'S';
    20 "int8" "bigint" 1016 8 'N';
    21 "int2" "smallint" 1005 2 'N';
    22 "int2vector" "int2vector" 1006 -1 'A';
    23 "int4" "integer" 1007 4 'N';
    24 "regproc" "regproc" 1008 4 'N';
    25 "text" "text" 1009 -1 'S';
    26 "oid" "oid" 1028 4 'N';
    27 "tid" "tid" 1010 6 'U';
    28 "xid" "xid" 1011 4 'U';
    29 "cid" "cid" 1012 4 'U';
    30 "oidvector" "oidvector" 1013 -1 'A';
    114 "json" "json" 199 -1 'U';
    142 "xml" "xml" 143 -1 'U';
    194 "pg_node_tree" "pg_node_tree" 0 -1 'Z';
    600 "point" "point" 1017 16 'G';
    601 "lseg" "lseg" 1018 32 'G';
    602 "path" "path" 1019 -1 'G';
    603 "box" "box" 1020 32 'G';
    604 "polygon" "polygon" 1027 -1 'G';
    628 "line" "line" 629 24 'G';
    650 "cidr" "cidr" 651 -1 'I';
    700 "float4" "real" 1021 4 'N';
    701 "float8" "double precision" 1022 8 'N';
    705 "unknown" "unknown" 0 -2 'X';
    718 "circle" "circle" 719 24 'G';
    774 "macaddr8" "macaddr8" 775 8 'U';
    790 "money" "money" 791 8 'N';
    829 "macaddr" "macaddr" 1040 6 'U';
    869 "inet" "inet" 1041 -1 'I';
    1033 "aclitem" "aclitem" 1034 12 'U';
    1042 "bpchar" "character" 1014 -1 'S';
    1043 "varchar" "character varying" 1015 -1 'S';
    1082 "date" "date" 1182 4 'D';
    1083 "time" "time without time zone" 1183 8 'D';
    1114 "timestamp" "timestamp without time zone" 1115 8 'D';
    1184 "timestamptz" "timestamp with time zone" 1185 8 'D';
    1186 "interval" "interval" 1187 16 'T';
    1266 "timetz" "time with time zone" 1270 12 'D';
    1560 "bit" "bit" 1561 -1 'V';
    1562 "varbit" "bit varying" 1563 -1 'V';
    1700 "numeric" "numeric" 1231 -1 'N';
    1790 "refcursor" "refcursor" 2201 -1 'U';
    2202 "regprocedure" "regprocedure" 2207 4 'N';
    2203 "regoper" "regoper" 2208 4 'N';
    2205 "regclass" "regclass" 2210 4 'N';
    2206 "regtype" "regtype" 2211 4 'N';
    2249 "record" "record" 2287 -1 'P';
    2278 "void" "void" 0 4 'P';
    2950 "uuid" "uuid" 2951 16 'U';
    3220 "pg_lsn" "pg_lsn" 3221 8 'U';
    3614 "tsvector" "tsvector" 3643 -1 'U';
    3615 "tsquery" "tsquery" 3645 -1 'U';
    3802 "jsonb" "jsonb" 3807 -1 'U';
    3904 "int4range" "int4range" 3905 -1 'R';
    3906 "numrange" "numrange" 3907 -1 'R';
    3908 "tsrange" "tsrange" 3909 -1 'R';
    3910 "tstzrange" "tstzrange" 3911 -1 'R';
    3912 "daterange" "daterange" 3913 -1 'R';
    3926 "int8range" "int8range" 3927 -1 'R';
    4072 "jsonpath" "jsonpath" 4073 -1 'U';
    4089 "regnamespace" "regnamespace" 4090 4 'N';
    4096 "regrole" "regrole" 4097 4 'N';
    4451 "int4multirange" "int4multirange" 6150 -1 'R';
    4532 "nummultirange" "nummultirange" 6151 -1 'R';
    4533 "tsmultirange" "tsmultirange" 6152 -1 'R';
    4534 "tstzmultirange" "tstzmultirange" 6153 -1 'R';
    4535 "datemultirange" "datemultirange" 6155 -1 'R';
    4536 "int8multirange" "int8multirange" 6157 -1 'R';
}

/// The type as `format_type` prints it.
pub(super) fn sql_name(data_type: &PgType) -> String {
    if let Some(user) = &data_type.user {
        return user.name.clone();
    }
    if let Some(element) = data_type.element() {
        return format!("{}[]", sql_name(&element));
    }
    let Some(builtin) = BuiltinType::by_oid(data_type.oid) else { return "???".to_owned() };
    let modifier = data_type.modifier;
    match data_type.oid {
        oids::NUMERIC => data_type
            .numeric_bounds()
            .map_or_else(|| "numeric".to_owned(), |(precision, scale)| format!("numeric({precision},{scale})")),
        oids::VARCHAR | oids::BPCHAR if modifier >= 4 => format!("{}({})", builtin.sql_name, modifier - 4),
        // `character` without a length would read as character(1): PostgreSQL prints the internal name.
        oids::BPCHAR => "bpchar".to_owned(),
        oids::BIT | oids::VARBIT if modifier >= 0 => format!("{}({modifier})", builtin.sql_name),
        oids::TIME => with_precision("time", modifier, " without time zone"),
        oids::TIMETZ => with_precision("time", modifier, " with time zone"),
        oids::TIMESTAMP => with_precision("timestamp", modifier, " without time zone"),
        oids::TIMESTAMPTZ => with_precision("timestamp", modifier, " with time zone"),
        _ => builtin.sql_name.to_owned(),
    }
}

fn with_precision(name: &str, modifier: i32, suffix: &str) -> String {
    if modifier >= 0 { format!("{name}({modifier}){suffix}") } else { format!("{name}{suffix}") }
}

//! Thrift's compact protocol, walked without building anything: a decoder that reserves room for as many elements as a
//! list claims would end the process on a footer that lies.

/// Elements of one list, and bytes of all that a list reserves in a decoder: row groups and columns are some 100 bytes.
const ELEMENTS_MAX: u64 = 100_000;
/// Structs and collections within each other; the format needs nine.
const DEPTH_MAX: usize = 24;

/// Why bytes cannot be what they should be.
type Broken = &'static str;

const TRUNCATED: Broken = "its metadata end too early";

/// Checks that every length in a footer is possible.
pub(crate) fn check_footer(bytes: &[u8]) -> Result<(), Broken> {
    let mut walker = Walker { rest: bytes };
    walker.structure(0, 0, &mut |_, _, _| {})
}

/// What a page header says of its page; -1 where it says nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PageHeader {
    /// Bytes of the header itself.
    pub(crate) header_bytes: usize,
    pub(crate) uncompressed_bytes: i64,
    pub(crate) compressed_bytes: i64,
    pub(crate) values: i64,
    /// It is a dictionary page.
    pub(crate) dictionary: bool,
    /// Bytes before the compressed part: the levels of a data page in version 2.
    pub(crate) plain_bytes: i64,
    /// A data page in version 2 may say that it is not compressed.
    pub(crate) compressed: bool,
    /// The CRC-32 of the page's bytes as they are in the file.
    pub(crate) checksum: Option<u32>,
}

/// Fields of `PageHeader` that hold a header of one kind of page (parquet.thrift).
const DATA_PAGE: i64 = 5;
const DICTIONARY_PAGE: i64 = 7;
const DATA_PAGE_V2: i64 = 8;

/// Reads a page header at the start of `bytes`.
pub(crate) fn page_header(bytes: &[u8]) -> Result<PageHeader, Broken> {
    let mut walker = Walker { rest: bytes };
    let mut header = PageHeader {
        header_bytes: 0,
        uncompressed_bytes: -1,
        compressed_bytes: -1,
        values: -1,
        dictionary: false,
        plain_bytes: 0,
        compressed: true,
        checksum: None,
    };
    walker.structure(0, 0, &mut |parent, field, value| match (parent, field) {
        (0, 2) => header.uncompressed_bytes = value,
        (0, 3) => header.compressed_bytes = value,
        // The format has no unsigned numbers: the 32 bits are those of a signed one.
        (0, 4) => header.checksum = i32::try_from(value).ok().map(i32::cast_unsigned),
        (DATA_PAGE | DATA_PAGE_V2, 1) => header.values = value,
        (DICTIONARY_PAGE, 1) => (header.values, header.dictionary) = (value, true),
        (DATA_PAGE_V2, 5 | 6) => header.plain_bytes = header.plain_bytes.saturating_add(value),
        (DATA_PAGE_V2, 7) => header.compressed = value != 0,
        _ => {}
    })?;
    header.header_bytes = bytes.len() - walker.rest.len();
    Ok(header)
}

/// Shows a whole number or boolean: the field that holds its struct, zero at the top, its own field and the value.
type Show<'a> = &'a mut dyn FnMut(i64, i64, i64);

struct Walker<'a> {
    rest: &'a [u8],
}

impl Walker<'_> {
    fn byte(&mut self) -> Result<u8, Broken> {
        let (first, rest) = self.rest.split_first().ok_or(TRUNCATED)?;
        self.rest = rest;
        Ok(*first)
    }

    fn skip(&mut self, bytes: u64) -> Result<(), Broken> {
        let bytes = usize::try_from(bytes).map_err(|_| TRUNCATED)?;
        self.rest = self.rest.get(bytes..).ok_or(TRUNCATED)?;
        Ok(())
    }

    /// An unsigned number of seven bits a byte.
    fn number(&mut self) -> Result<u64, Broken> {
        let mut number = 0_u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            number |= u64::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                return Ok(number);
            }
        }
        Err("a number in its metadata is too long")
    }

    fn signed(&mut self) -> Result<i64, Broken> {
        let number = self.number()?;
        Ok((number >> 1).cast_signed() ^ -(number & 1).cast_signed())
    }

    /// Walks a struct and shows its numbers and those of the structs within it.
    fn structure(&mut self, depth: usize, parent: i64, show: Show<'_>) -> Result<(), Broken> {
        if depth > DEPTH_MAX {
            return Err("its metadata are nested too deep");
        }
        let mut id = 0_i64;
        loop {
            let head = self.byte()?;
            if head == 0 {
                return Ok(());
            }
            let delta = i64::from(head >> 4);
            id = if delta == 0 { self.signed()? } else { id.saturating_add(delta) };
            // What lies deeper than one struct within another is walked and not shown.
            match head & 0x0f {
                // Booleans are in the type.
                kind @ (1 | 2) if depth < 2 => show(parent, id, i64::from(kind == 1)),
                1 | 2 => {}
                4..=6 => {
                    let value = self.signed()?;
                    if depth < 2 {
                        show(parent, id, value);
                    }
                }
                12 => self.structure(depth + 1, id, show)?,
                kind => self.value(kind, depth)?,
            }
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<(), Broken> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => self.number().map(|_| ()),
            7 => self.skip(8),
            8 => {
                let length = self.number()?;
                self.skip(length)
            }
            9 | 10 => self.list(depth + 1),
            11 => self.map(depth + 1),
            12 => self.structure(depth + 1, 0, &mut |_, _, _| {}),
            13 => self.skip(16),
            _ => Err("its metadata hold an unknown kind of value"),
        }
    }

    fn list(&mut self, depth: usize) -> Result<(), Broken> {
        if depth > DEPTH_MAX {
            return Err("its metadata are nested too deep");
        }
        let head = self.byte()?;
        let count = if head >> 4 == 15 { self.number()? } else { u64::from(head >> 4) };
        let kind = head & 0x0f;
        self.check_count(count, kind)?;
        for _ in 0..count {
            self.value(kind, depth)?;
        }
        Ok(())
    }

    fn map(&mut self, depth: usize) -> Result<(), Broken> {
        let count = self.number()?;
        if count == 0 {
            return Ok(());
        }
        let kinds = self.byte()?;
        self.check_count(count, 12)?;
        for _ in 0..count {
            self.value(kinds >> 4, depth)?;
            self.value(kinds & 0x0f, depth)?;
        }
        Ok(())
    }

    fn check_count(&self, count: u64, kind: u8) -> Result<(), Broken> {
        if count > self.rest.len() as u64 {
            return Err("a list in its metadata claims more elements than there are");
        }
        if count > ELEMENTS_MAX && matches!(kind, 8..=12) {
            return Err("a list in its metadata has more than 100000 elements");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn refuses_counts_that_cannot_be() {
        // Field 4, a list of structs, 2^31 - 1 of them.
        assert!(
            check_footer(&[0x49, 0xfc, 0xff, 0xff, 0xff, 0xff, 0x07, 0x00]).is_err_and(|why| why.contains("claims"))
        );
        // Field 1, a string of 2^40 bytes.
        assert_eq!(check_footer(&[0x18, 0x80, 0x80, 0x80, 0x80, 0x80, 0x20, 0x00]), Err(TRUNCATED));
        assert!(check_footer(&[0x1c; 100]).is_err_and(|why| why.contains("deep")));
        assert_eq!(check_footer(&[0x15, 0x02, 0x00]), Ok(()));
    }

    #[test]
    fn reads_page_headers() {
        // type 0, uncompressed 300, compressed 20, then the header of a data page: 3 values.
        let bytes = [0x15, 0x00, 0x15, 0xd8, 0x04, 0x15, 0x28, 0x2c, 0x15, 0x06, 0x00, 0x00, 0xaa];
        let expected = PageHeader {
            header_bytes: 12,
            uncompressed_bytes: 300,
            compressed_bytes: 20,
            values: 3,
            dictionary: false,
            plain_bytes: 0,
            compressed: true,
            checksum: None,
        };
        assert_eq!(page_header(&bytes), Ok(expected));
    }

    proptest! {
        #[test]
        fn never_panics(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
            let _ = check_footer(&bytes);
            let _ = page_header(&bytes);
        }
    }
}

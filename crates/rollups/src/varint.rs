//! Variable-length integers (LEB128): seven bits per byte, the lowest first; all bytes of a number
//! but the last have their highest bit set.

use integer_encoding::VarInt as _;

/// Bytes of the largest number.
const MAX_VARINT_BYTES: usize = 10;

/// Appends a number.
pub fn write_varint(bytes: &mut Vec<u8>, number: u64) {
    let mut encoded = [0; MAX_VARINT_BYTES];
    let length = number.encode_var(&mut encoded);
    bytes.extend_from_slice(&encoded[..length]);
}

/// Removes a number from the front of `bytes`; `None` if the number is truncated or exceeds 64
/// bits.
pub fn read_varint(bytes: &mut &[u8]) -> Option<u64> {
    let (number, length) = u64::decode_var(bytes)?;
    *bytes = bytes.get(length..)?;
    Some(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_come_back() {
        let numbers = [0, 1, 127, 128, 300, u64::from(u32::MAX), u64::MAX];
        let mut bytes = vec![];
        for number in numbers {
            write_varint(&mut bytes, number);
        }
        assert_eq!(bytes[..4], [0, 1, 127, 0x80]);
        let mut rest = &bytes[..];
        for number in numbers {
            assert_eq!(read_varint(&mut rest), Some(number));
        }
        assert_eq!(read_varint(&mut rest), None);
        assert_eq!(read_varint(&mut &[0x80][..]), None);
        assert_eq!(read_varint(&mut &[0xff; 11][..]), None);
    }
}

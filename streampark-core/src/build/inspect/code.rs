//! The instructions of a method (Java Virtual Machine Specification, chapter 6), as far as they name constants,
//! fields and methods. Nothing is run.

/// An instruction that tells something, or another one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Instruction {
    /// `ldc`, `ldc_w`.
    Constant(u16),
    /// `getstatic`.
    GetStatic(u16),
    /// `putstatic`.
    PutStatic(u16),
    /// `invokestatic`.
    InvokeStatic(u16),
    /// `areturn`.
    Return,
    Other,
}

/// The instructions one after the other; ends where the code is not whole.
pub(super) fn instructions(code: &[u8]) -> impl Iterator<Item = Instruction> {
    let mut at = 0;
    std::iter::from_fn(move || {
        let opcode = *code.get(at)?;
        let start = at;
        at += length(code, at)?;
        let wide = || Some(u16::from_be_bytes(code.get(start + 1..start + 3)?.try_into().ok()?));
        Some(match opcode {
            0x12 => Instruction::Constant(u16::from(*code.get(start + 1)?)),
            0x13 => Instruction::Constant(wide()?),
            0xb0 => Instruction::Return,
            0xb2 => Instruction::GetStatic(wide()?),
            0xb3 => Instruction::PutStatic(wide()?),
            0xb8 => Instruction::InvokeStatic(wide()?),
            _ => Instruction::Other,
        })
    })
}

/// How many bytes the instruction at a place has.
fn length(code: &[u8], at: usize) -> Option<usize> {
    let int = |from: usize| Some(i32::from_be_bytes(code.get(from..from + 4)?.try_into().ok()?));
    // The operands of both switches begin at the next multiple of four.
    let aligned = (at + 4) & !3;
    Some(match *code.get(at)? {
        0x10 | 0x12 | 0x15..=0x19 | 0x36..=0x3a | 0xa9 | 0xbc => 2,
        0x11 | 0x13 | 0x14 | 0x84 | 0x99..=0xa8 | 0xb2..=0xb8 | 0xbb | 0xbd | 0xc0 | 0xc1 | 0xc6 | 0xc7 => 3,
        0xc5 => 4,
        0xb9 | 0xba | 0xc8 | 0xc9 => 5,
        0xaa => {
            let entries = int(aligned + 8)?.checked_sub(int(aligned + 4)?)?.checked_add(1)?;
            aligned - at + 12 + usize::try_from(entries).ok()?.checked_mul(4)?
        }
        0xab => aligned - at + 8 + usize::try_from(int(aligned + 4)?).ok()?.checked_mul(8)?,
        0xc4 => match *code.get(at + 1)? {
            0x84 => 6,
            _ => 4,
        },
        _ => 1,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn switches_are_passed_over_by_their_length() {
        // iload_0, tableswitch 0..=1 with its padding, ldc 7, areturn
        let mut code = vec![0x1a, 0xaa, 0, 0];
        for word in [20_i32, 0, 1, 8, 12] {
            code.extend(word.to_be_bytes());
        }
        code.extend([0x12, 7, 0xb0]);
        let found: Vec<Instruction> = instructions(&code).collect();
        assert_eq!(found[2..], [Instruction::Constant(7), Instruction::Return]);
        assert_eq!(found.len(), 4);
        assert_eq!(instructions(&[0xb2, 0]).count(), 0, "cut off");
    }
}

use crate::util::consts::BLOOM_BITS_PER_KEY;

pub struct Bloom {
    bits: Vec<u8>,
    hashes: u32,
}

fn hash(key: &[u8], seed: u32) -> u32 {
    key.iter().fold(seed ^ 0x811C_9DC5, |state, byte| (state ^ u32::from(*byte)).wrapping_mul(0x0100_0193))
}

impl Bloom {
    pub fn with_keys(count: usize) -> Self {
        let bits = (count * BLOOM_BITS_PER_KEY).max(64);
        Bloom { bits: vec![0; bits.div_ceil(8)], hashes: 7 }
    }

    pub fn add(&mut self, key: &[u8]) {
        let size = self.bits.len() as u32 * 8;
        for seed in 0..self.hashes {
            let bit = hash(key, seed) % size;
            self.bits[(bit / 8) as usize] |= 1 << (bit % 8);
        }
    }

    pub fn may_contain(&self, key: &[u8]) -> bool {
        let size = self.bits.len() as u32 * 8;
        (0..self.hashes).all(|seed| {
            let bit = hash(key, seed) % size;
            self.bits[(bit / 8) as usize] & (1 << (bit % 8)) != 0
        })
    }
}

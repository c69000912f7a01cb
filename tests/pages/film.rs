//! A film made here: Matroska (RFC 9559) with VP8 pictures, one for each second, far enough apart that a player that goes to
//! the end has to ask for a range.

use base64::Engine;
use base64::prelude::BASE64_STANDARD;

/// In seconds.
pub(crate) const LENGTH: u64 = 60;
/// Bytes of nothing after each picture.
const PADDING: usize = 256 * 1024;

/// 64 by 36 pixels, all of one colour.
const BLUE: &str = "kAMAnQEqQAAkAD7RaK5SKCYkIqKoAQAaCWcA0ugHe7U0+WwoAAD+8JtD/+hJ//xNn/9Js+EV6S6XF2TyWqxv1cNAAAA=";
const RED: &str = "sAMAnQEqQAAkAD7RaK5SKCYkIqKoAQAaCWcA01KAABUaYxw+NiAA/us2//Qmx7UV//0JP/ibP+Js+DmH/ipZiRgO8AAAAA==";

/// Blue in its first half, red in its second.
pub(crate) fn film() -> Vec<u8> {
    let clusters: Vec<Vec<u8>> = (0..LENGTH).map(cluster).collect();
    let before_cues = [info(), tracks()].concat();
    // Positions count from the start of the segment's content; a cue has the same length wherever it leads.
    let first_cluster = before_cues.len() + cues(&clusters, 0).len();
    let content = [before_cues, cues(&clusters, first_cluster), clusters.concat()].concat();
    [header(), element(0x1853_8067, content)].concat()
}

fn header() -> Vec<u8> {
    element(0x1A45_DFA3, [element(0x4282, b"webm".to_vec()), number(0x4287, 4), number(0x4285, 2)].concat())
}

/// Times in milliseconds.
fn info() -> Vec<u8> {
    let duration = element(0x4489, ((LENGTH * 1000) as f64).to_be_bytes().to_vec());
    element(0x1549_A966, [number(0x2A_D7B1, 1_000_000), duration].concat())
}

fn tracks() -> Vec<u8> {
    let size = element(0xE0, [number(0xB0, 64), number(0xBA, 36)].concat());
    let codec = element(0x86, b"V_VP8".to_vec());
    let track = [number(0xD7, 1), number(0x73C5, 1), number(0x83, 1), codec, size].concat();
    element(0x1654_AE6B, element(0xAE, track))
}

fn cues(clusters: &[Vec<u8>], first: usize) -> Vec<u8> {
    let mut position = first;
    let mut points = Vec::new();
    for (second, cluster) in clusters.iter().enumerate() {
        let place = [number(0xF7, 1), number(0xF1, position as u64)].concat();
        points.extend(element(0xBB, [number(0xB3, second as u64 * 1000), element(0xB7, place)].concat()));
        position += cluster.len();
    }
    element(0x1C53_BB6B, points)
}

fn cluster(second: u64) -> Vec<u8> {
    let picture = BASE64_STANDARD.decode(if second < LENGTH / 2 { BLUE } else { RED }).unwrap();
    // Track 1, no time beyond the cluster's, a key frame.
    let block = element(0xA3, [vec![0x81, 0, 0, 0x80], picture].concat());
    let padding = element(0xEC, vec![0; PADDING]);
    element(0x1F43_B675, [number(0xE7, second * 1000), block, padding].concat())
}

fn number(id: u32, value: u64) -> Vec<u8> {
    element(id, value.to_be_bytes().to_vec())
}

/// An element whose length is written in eight bytes.
fn element(id: u32, content: Vec<u8>) -> Vec<u8> {
    let id = id.to_be_bytes().into_iter().skip_while(|byte| *byte == 0);
    let length = (content.len() as u64 | 1 << 56).to_be_bytes();
    id.chain(length).chain(content).collect()
}

//! The Matroska reader against another reader, against odd but valid files, and against damage.
#[path = "support/films.rs"]
mod films;

use std::{
    io::Cursor,
    process::{Command, Stdio},
    sync::OnceLock,
};

use dovi::{
    film::sample,
    matroska::{Block, Encoding, MatroskaError, MatroskaReader, TrackKind},
};
use films::{CLOSED, Kind, Rpus};
use proptest::prelude::*;

fn film() -> &'static [u8] {
    static FILM: OnceLock<Vec<u8>> = OnceLock::new();
    FILM.get_or_init(|| {
        let dir = tempfile::tempdir().expect("scratch is writable");
        std::fs::read(films::film(dir.path(), "film", CLOSED, &Rpus::of(Kind::Mel))).expect("film was made")
    })
}

fn read_all(bytes: &[u8]) -> Result<Vec<(Block, Vec<u8>)>, MatroskaError> {
    let mut reader = MatroskaReader::open(Cursor::new(bytes))?;
    let (mut frames, mut buf) = (Vec::new(), Vec::new());
    while let Some(block) = reader.next_block(&mut |_| true, &mut buf)? {
        frames.push((block, buf.clone()));
    }
    Ok(frames)
}

fn pipe(program: &str, args: &[&str], input: &[u8]) -> Vec<u8> {
    let dir = tempfile::tempdir().expect("scratch is writable");
    let path = dir.path().join("in.mkv");
    std::fs::write(&path, input).expect("scratch is writable");
    let mut command = Command::new(program);
    for arg in args {
        if *arg == "IN" {
            command.arg(&path)
        } else {
            command.arg(arg)
        };
    }
    let output = command.stdin(Stdio::null()).current_dir(dir.path()).output().expect("tool is on PATH");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    std::fs::read(dir.path().join("out.mkv")).unwrap_or(output.stdout)
}

#[test]
fn same_frames_as_another_reader() {
    let mut oracle = matroska_demuxer::MatroskaFile::open(Cursor::new(film())).unwrap();
    let ours = read_all(film()).unwrap();
    let subtitle =
        oracle.tracks().iter().find(|t| t.codec_id() == "S_TEXT/UTF8").unwrap().track_number().get();
    let mut frame = matroska_demuxer::Frame::default();
    let mut count = 0;
    for (block, payload) in &ours {
        assert!(oracle.next_frame(&mut frame).unwrap());
        assert_eq!(frame.track, block.track);
        if block.track == 1 {
            assert_eq!(i64::try_from(frame.timestamp).unwrap() * 1_000_000, block.pts_ns);
        }
        // The other reader does not undo compression.
        if block.track != subtitle {
            assert_eq!(&frame.data, payload);
        }
        count += 1;
    }
    assert!(!oracle.next_frame(&mut frame).unwrap());
    assert_eq!(count, 48 + 58 + 2);
}

#[test]
fn header_has_every_track_with_its_facts() {
    let reader = MatroskaReader::open(Cursor::new(film())).unwrap();
    let header = reader.header();
    let kinds: Vec<_> = header.tracks.iter().map(|t| t.kind).collect();
    assert_eq!(kinds, [TrackKind::Video, TrackKind::Audio, TrackKind::Subtitle]);
    let video = &header.tracks[0];
    assert_eq!((video.codec_id.as_str(), video.default_duration_ns), ("V_MPEGH/ISO/HEVC", Some(41_708_333)));
    assert!(video.codec_private.len() > 23 && video.uid != 0 && video.flag_default);
    assert_eq!(video.video.as_ref().map(|v| (v.width, v.height)), Some((320, 180)));
    let audio = header.tracks[1].audio.as_ref().unwrap();
    assert_eq!((audio.channels, audio.sampling_hz), (1, 44_100.0));
    assert_eq!(header.tracks[2].encodings[0].encoding, Encoding::Zlib);
    let end = reader.integrity();
    assert_eq!((end.declared_end, end.truncated), (Some(film().len() as u64), false));
    assert!(header.writing_app.contains("mkvmerge"), "{}", header.writing_app);
}

#[test]
fn flags_languages_and_colour_are_read() {
    let args = ["-q", "-o", "out.mkv", "--track-name", "1:Commentary", "--language", "1:pt-BR"];
    let more =
        ["--forced-display-flag", "1:yes", "--default-track-flag", "1:no", "--commentary-flag", "1:yes"];
    let colour = [
        "--colour-primaries",
        "0:9",
        "--colour-transfer-characteristics",
        "0:16",
        "--max-content-light",
        "0:900",
        "--max-frame-light",
        "0:200",
        "--max-luminance",
        "0:1000",
        "--min-luminance",
        "0:0.005",
        "--chromaticity-coordinates",
        "0:0.68,0.32,0.265,0.69,0.15,0.06",
        "--white-colour-coordinates",
        "0:0.3127,0.329",
        "IN",
    ];
    let all: Vec<&str> = args.iter().chain(&more).chain(&colour).copied().collect();
    let bytes = pipe("mkvmerge", &all, film());
    let reader = MatroskaReader::open(Cursor::new(&bytes)).unwrap();
    let audio = &reader.header().tracks[1];
    assert_eq!(audio.name.as_deref(), Some("Commentary"));
    assert_eq!((audio.language.as_str(), audio.language_ietf.as_deref()), ("por", Some("pt-BR")));
    assert_eq!((audio.flag_forced, audio.flag_default, audio.flag_commentary), (true, false, Some(true)));
    let colour = reader.header().tracks[0].video.as_ref().and_then(|v| v.colour.clone()).unwrap();
    assert_eq!(
        (colour.primaries, colour.transfer, colour.max_cll, colour.max_fall),
        (Some(9), Some(16), Some(900), Some(200))
    );
    let mastering = colour.mastering.unwrap();
    assert!((mastering.green.0 - 0.265).abs() < 1e-6 && (mastering.max_nits - 1000.0).abs() < 1e-6);
}

/// ffmpeg writes segment and clusters of unknown size to a pipe, and no lacing.
#[test]
fn unknown_sizes_and_other_muxers_give_the_same_payload() {
    let live = pipe(
        "ffmpeg",
        &["-v", "error", "-i", "IN", "-map", "0:v", "-map", "0:a", "-c", "copy", "-f", "matroska", "pipe:1"],
        film(),
    );
    let reader = MatroskaReader::open(Cursor::new(&live)).unwrap();
    assert_eq!(reader.integrity().declared_end, None);
    let bytes_of = |frames: &[(Block, Vec<u8>)], track: u64| -> Vec<u8> {
        frames.iter().filter(|(b, _)| b.track == track).flat_map(|(_, p)| p.clone()).collect()
    };
    let (original, piped) = (read_all(film()).unwrap(), read_all(&live).unwrap());
    for track in [1, 2] {
        assert_eq!(bytes_of(&original, track), bytes_of(&piped, track));
    }
    assert_eq!(films::scan_bytes(&live).unwrap().frames, 48);
    // Without a declared end only a cut inside an element shows.
    let error = films::scan_bytes(&live[..live.len() - 10]).unwrap_err();
    assert_eq!(error.code(), "source.truncated", "{error}");
}

/// One element with an eight-byte size.
fn element(id: &[u8], payload: &[u8]) -> Vec<u8> {
    let mut size = (payload.len() as u64).to_be_bytes();
    size[0] = 1;
    [id, &size, payload].concat()
}

/// mkvmerge no longer writes header stripping, but files that have it exist; here together with lacing.
#[test]
fn stripped_headers_come_back_in_every_laced_frame() {
    let compression = [element(&[0x42, 0x54], &[3]), element(&[0x42, 0x55], &[0x0B, 0x77])].concat();
    let encoding = element(&[0x62, 0x40], &element(&[0x50, 0x34], &compression));
    let entry = [
        element(&[0xD7], &[1]),
        element(&[0x83], &[2]),
        element(&[0x86], b"A_AC3"),
        element(&[0x23, 0xE3, 0x83], &32_000_000u32.to_be_bytes()),
        element(&[0x6D, 0x80], &encoding),
    ];
    let xiph = [&[0x81, 0, 5, 0x02, 1, 3][..], b"abcdefg"].concat();
    let fixed = [&[0x81, 0, 99, 0x04, 1][..], b"hijk"].concat();
    let group = [element(&[0xA1], &fixed), element(&[0x9B], &[50]), element(&[0xFB], &[1])].concat();
    let cluster = [element(&[0xE7], &[10]), element(&[0xA3], &xiph), element(&[0xA0], &group)].concat();
    let tracks = element(&[0x16, 0x54, 0xAE, 0x6B], &element(&[0xAE], &entry.concat()));
    let segment = [tracks, element(&[0x1F, 0x43, 0xB6, 0x75], &cluster)].concat();
    let file = [
        element(&[0x1A, 0x45, 0xDF, 0xA3], &element(&[0x42, 0x82], b"matroska")),
        element(&[0x18, 0x53, 0x80, 0x67], &segment),
    ]
    .concat();
    let frames = read_all(&file).unwrap();
    let seen: Vec<_> = frames.iter().map(|(b, p)| (b.pts_ns / 1_000_000, p.as_slice(), b.key)).collect();
    assert_eq!(
        seen,
        [
            (15, &b"\x0B\x77abc"[..], false),
            (47, b"\x0B\x77defg", false),
            (109, b"\x0B\x77hi", false),
            (141, b"\x0B\x77jk", false)
        ]
    );
}

#[test]
fn skipping_tracks_changes_nothing_for_the_others() {
    let all = read_all(film()).unwrap();
    let mut reader = MatroskaReader::with_buffer(Cursor::new(film()), 512).unwrap();
    let mut buf = Vec::new();
    for (block, payload) in all.iter().filter(|(b, _)| b.track == 1) {
        assert_eq!(reader.next_block(&mut |t| t == 1, &mut buf).unwrap().as_ref(), Some(block));
        assert_eq!(&buf, payload);
    }
    assert!(reader.next_block(&mut |t| t == 1, &mut buf).unwrap().is_none());
    assert_eq!((reader.header().chapters(), reader.header().attachments.len()), (2, 1));
}

#[test]
fn cues_tail_and_resynchronisation() {
    let mut reader = MatroskaReader::open(Cursor::new(film())).unwrap();
    let clusters = reader.cue_clusters(1);
    assert_eq!(clusters.first().copied(), reader.first_cluster());
    let mut buf = Vec::new();
    for at in &clusters {
        reader.seek_cluster(*at).unwrap();
        assert!(reader.next_block(&mut |_| true, &mut buf).unwrap().is_some());
    }
    assert!(reader.resync(reader.first_cluster().unwrap() - 1).unwrap());
    let first = reader.next_block(&mut |_| true, &mut buf).unwrap().unwrap();
    assert_eq!(first.pts_ns, 0);
    assert!(!reader.resync(film().len() as u64 - 20).unwrap());
    assert_eq!(reader.integrity().resyncs, 2);
    reader.read_tail();
    assert_eq!((reader.header().chapters(), reader.header().attachments.len()), (2, 1));
    assert!(reader.header().tags.len() >= 3);
}

#[test]
fn every_cut_is_named() {
    let whole = film();
    for keep in (0..whole.len()).step_by(997).chain([1, 4, 40, whole.len() - 1]) {
        let code = films::scan_bytes(&whole[..keep]).unwrap_err().code();
        let early = keep < 64 && matches!(code, "source.empty" | "source.not-matroska");
        assert!(code == "source.truncated" || early, "{keep}: {code}");
    }
}

#[test]
fn declared_sizes_allocate_nothing() {
    // A block, and a Tracks element, that claim nearly 2^56 bytes.
    for (id, payload) in [(&[0x16, 0x54, 0xAE, 0x6B][..], "tracks"), (&[0x12, 0x54, 0xC3, 0x67], "tags")] {
        let mut bytes = vec![0x1A, 0x45, 0xDF, 0xA3, 0x8B, 0x42, 0x82, 0x88];
        bytes.extend(b"matroska");
        bytes.extend([0x18, 0x53, 0x80, 0x67, 0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF]);
        bytes.extend(id);
        bytes.extend([0x01, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFE]);
        bytes.extend([0; 64]);
        match MatroskaReader::open(Cursor::new(&bytes)).err() {
            Some(MatroskaError::Truncated { what, .. }) => assert_eq!(what, payload),
            other => panic!("{other:?}"),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 96, failure_persistence: None, ..ProptestConfig::default() })]

    /// Damage anywhere: no panic, an end, no frame larger than the file, and a stable code if it is noticed.
    #[test]
    fn damaged_files_end(
        edits in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..24),
        head in any::<bool>(),
        cut in prop::option::of(any::<prop::sample::Index>()),
    ) {
        let mut bytes = film().to_vec();
        let range = if head { 6000.min(bytes.len()) } else { bytes.len() };
        for (at, value) in edits {
            let at = at.index(range);
            bytes[at] = value;
        }
        if let Some(cut) = cut {
            bytes.truncate(cut.index(bytes.len()));
        }
        if let Ok(mut reader) = MatroskaReader::open(Cursor::new(&bytes)) {
            let (mut buf, mut blocks) = (Vec::new(), 0usize);
            while let Ok(Some(_)) = reader.next_block(&mut |_| true, &mut buf) {
                blocks += 1;
                prop_assert!(blocks <= bytes.len());
                prop_assert!(buf.len() <= bytes.len() * 4);
            }
            reader.read_tail();
            let _ = reader.cue_clusters(1);
            let _ = reader.resync(bytes.len() as u64 / 3);
        }
        if let Err(error) = films::scan_bytes(&bytes) {
            prop_assert!(error.code().contains('.'), "{}", error);
        }
        let _ = sample(Cursor::new(&bytes));
    }
}

use super::*;

const METADATA: &str = include_str!("../testdata/bsf-hevc_metadata-5.1.txt");
const HELP: &str = include_str!("../testdata/help-full-5.1.txt");
/// The common end of the hardware encoders' lines.
const TAGS: &str = "-color_primaries bt2020 -color_trc smpte2084 -colorspace bt2020nc -color_range tv \
    -chroma_sample_location topleft -bsf:v hevc_metadata=colour_primaries=9:transfer_characteristics=16:\
    matrix_coefficients=9:video_full_range_flag=0:chroma_sample_loc_type=2 -f hevc pipe:1";
const MARKED: &str = "setparams=range=tv:color_primaries=bt2020:color_trc=smpte2084:colorspace=bt2020nc";

fn x265() -> X265 {
    X265 {
        preset: "slow".into(),
        crf: 18.0,
        chroma_loc: Some(2),
        master_display: Some("G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1)".into()),
        max_cll: Some((1000, 400)),
        keyint: 120,
        extra: vec!["aq-mode=3".into()],
    }
}

fn nvenc(full: bool) -> VideoEncoder {
    let extra = Vec::new();
    VideoEncoder::Nvenc(Nvenc { preset: 5, cq: 18.5, gop: 120, full, chroma_loc: Some(2), extra })
}

fn qsv(full: bool) -> VideoEncoder {
    let extra = Vec::new();
    VideoEncoder::Qsv(Qsv { preset: "slow", quality: 18, gop: 120, full, chroma_loc: Some(2), extra })
}

fn vaapi(full: bool) -> VideoEncoder {
    let (device, extra) = ("/dev/dri/renderD128".into(), Vec::new());
    VideoEncoder::Vaapi(Vaapi { device, qp: 18, gop: 120, full, chroma_loc: Some(2), extra })
}

fn film(encoder: VideoEncoder) -> EncodeArgs {
    let input = Input::Film { source: "/films/-a: b.mkv".into(), video_position: 1 };
    EncodeArgs { ffmpeg: "ffmpeg".into(), input, encoder }
}

fn debian() -> Capabilities {
    Capabilities::read("", HELP, "")
}

/// The whole line for the film, by Debian 12's lists.
fn line(encoder: VideoEncoder) -> Result<String, Unsupported> {
    let help = match &encoder {
        VideoEncoder::X265(_) => include_str!("../testdata/encoder-libx265-5.1.txt"),
        VideoEncoder::Nvenc(_) => include_str!("../testdata/encoder-hevc_nvenc-5.1.txt"),
        VideoEncoder::Qsv(_) => include_str!("../testdata/encoder-hevc_qsv-5.1.txt"),
        VideoEncoder::Vaapi(_) => include_str!("../testdata/encoder-hevc_vaapi-5.1.txt"),
    };
    film(encoder).command(&debian(), &EncoderOptions::read(help, METADATA)).map(|c| c.to_string())
}

fn head(device: &str) -> String {
    format!(
        "ffmpeg -nostdin -hide_banner -nostats -v warning{device} -i 'file:/films/-a: b.mkv' -map 0:v:1 \
         -an -sn -dn -fps_mode passthrough"
    )
}

#[test]
fn x265_is_exactly_this() {
    let params = "'repeat-headers=1:aud=1:colorprim=bt2020:transfer=smpte2084:colormatrix=bt2020nc:\
        range=limited:hdr10=1:level-idc=5.1:high-tier=1:vbv-maxrate=100000:vbv-bufsize=100000:open-gop=0:\
        log-level=warning:keyint=120:chromaloc=2:\
        master-display=G(8500,39850)B(6550,2300)R(35400,14600)WP(15635,16450)L(10000000,1):\
        max-cll=1000,400:aq-mode=3'";
    assert_eq!(
        line(VideoEncoder::X265(x265())).unwrap(),
        format!(
            "{} -c:v libx265 -pix_fmt yuv420p10le -profile:v main10 -preset slow -crf 18 -x265-params {params} \
             -f hevc pipe:1",
            head("")
        )
    );
}

#[test]
fn nvenc_is_exactly_this_with_and_without_b_frames() {
    let start = format!(
        "{} -vf {MARKED} -c:v hevc_nvenc -pix_fmt p010le -preset p5 -tune hq -profile:v main10 -tier high \
         -level 5.1 -rc vbr -cq 18.5 -b:v 0 -maxrate 100M -bufsize 100M -spatial_aq 1 -g 120 -strict_gop 1 \
         -aud 1",
        head("")
    );
    assert_eq!(
        line(nvenc(true)).unwrap(),
        format!("{start} -temporal_aq 1 -rc-lookahead 32 -bf 3 -b_ref_mode middle {TAGS}")
    );
    assert_eq!(line(nvenc(false)).unwrap(), format!("{start} -bf 0 {TAGS}"));
}

#[test]
fn quick_sync_is_exactly_this() {
    let start = format!(
        "{} -vf {MARKED} -c:v hevc_qsv -pix_fmt p010le -preset slow -profile:v main10 -global_quality 18 -g 120 \
         -idr_interval 0 -aud 1",
        head("")
    );
    assert_eq!(line(qsv(true)).unwrap(), format!("{start} -low_power 0 -bf 3 {TAGS}"));
    assert_eq!(line(qsv(false)).unwrap(), format!("{start} -bf 0 {TAGS}"));
}

#[test]
fn va_api_is_exactly_this() {
    let start = format!(
        "{} -vf {MARKED},format=p010le,hwupload -c:v hevc_vaapi -profile:v main10 -tier high -level 5.1 \
         -rc_mode CQP -qp 18 -g 120 -idr_interval 0 -aud 1 -sei hdr",
        head(" -vaapi_device /dev/dri/renderD128")
    );
    assert_eq!(line(vaapi(true)).unwrap(), format!("{start} -bf 2 {TAGS}"));
    assert_eq!(line(vaapi(false)).unwrap(), format!("{start} -low_power 1 -bf 0 {TAGS}"));
}

#[test]
fn a_test_differs_in_its_pictures_only() {
    let options = EncoderOptions::read(include_str!("../testdata/encoder-libx265-5.1.txt"), METADATA);
    let of = |input| {
        let args = EncodeArgs { input, ..film(VideoEncoder::X265(x265())) };
        args.command(&debian(), &options).unwrap().to_string()
    };
    let test = of(Input::Test { width: 640, height: 360, frames: 40 });
    let real = of(Input::Film { source: "/f.mkv".into(), video_position: 0 });
    assert_eq!(
        test.replace(
            "-f lavfi -i testsrc2=size=640x360:rate=24 -map 0:v:0 -frames:v 40",
            "-i file:/f.mkv -map 0:v:0"
        ),
        real
    );
}

#[test]
fn what_the_source_does_not_have_is_not_invented() {
    let bare = X265 { chroma_loc: None, master_display: None, max_cll: None, extra: vec![], ..x265() };
    let params = bare.params();
    assert!(["max-cll", "master-display", "chromaloc"].iter().all(|p| !params.contains(p)), "{params}");
    let VideoEncoder::Nvenc(nvenc) = nvenc(true) else { unreachable!() };
    let line = line(VideoEncoder::Nvenc(Nvenc { chroma_loc: None, ..nvenc })).unwrap();
    assert!(!line.contains("chroma"), "{line}");
}

#[test]
fn x265_of_older_and_newer_builds() {
    let of = |full: &str, help: &str| {
        let can = Capabilities::read("", full, "");
        film(VideoEncoder::X265(x265())).command(&can, &EncoderOptions::read(help, "")).unwrap().to_string()
    };
    let old = of(
        include_str!("../testdata/help-full-4.2.txt"),
        include_str!("../testdata/encoder-libx265-4.2.txt"),
    );
    assert!(old.contains(" -vsync passthrough ") && !old.contains("fps_mode"), "{old}");
    let new = include_str!("../testdata/encoder-libx265-7.0.txt");
    assert!(!of(include_str!("../testdata/help-full-7.0.txt"), new).contains("dolbyvision"));
    let newer =
        format!("{new}  -dolbyvision       <boolean>    E..V....... Enable Dolby Vision RPU coding\n");
    assert!(
        of(include_str!("../testdata/help-full-7.0.txt"), &newer).contains(" -dolbyvision 0 -x265-params ")
    );
}

#[test]
fn older_nvenc_names_its_presets_otherwise_and_lacks_some_options() {
    let help = "Encoder hevc_nvenc [NVIDIA NVENC hevc encoder]:\nhevc_nvenc AVOptions:\n\
        \x20 -preset            <int>        E..V..... Set the encoding preset (from 0 to 11) (default medium)\n\
        \x20    slow                         E..V..... hq 2 passes\n\
        \x20 -profile           <int>        E..V..... Set the encoding profile\n\
        \x20    main10                       E..V.....\n\
        \x20 -rc                <int>        E..V..... Override the preset rate-control\n\
        \x20    vbr                          E..V..... Variable bitrate mode\n\
        \x20 -cq                <float>      E..V..... Set target quality level\n";
    let line =
        film(nvenc(true)).command(&debian(), &EncoderOptions::read(help, METADATA)).unwrap().to_string();
    assert!(line.contains(" -preset slow -profile:v main10 -rc vbr -cq 18.5 -b:v 0 "), "{line}");
    assert!(!line.contains("b_ref_mode") && !line.contains("-tune"), "{line}");
}

#[test]
fn what_cannot_be_done_without_is_named() {
    let nothing = EncoderOptions::read("", METADATA);
    let error = film(nvenc(true)).command(&debian(), &nothing).unwrap_err();
    assert_eq!(error.to_string(), "hevc_nvenc of this ffmpeg does not know -preset p5");
    let without = Capabilities { vaapi_device: false, ..debian() };
    let error = film(vaapi(true)).command(&without, &nothing).unwrap_err();
    assert!(error.to_string().ends_with("-vaapi_device /dev/dri/renderD128"), "{error}");
    let help = include_str!("../testdata/encoder-hevc_nvenc-5.1.txt");
    let error = film(nvenc(true)).command(&debian(), &EncoderOptions::read(help, "")).unwrap_err();
    assert!(error.to_string().contains("hevc_metadata=colour_primaries=9"), "{error}");
}

#[test]
fn a_persons_own_options_come_last_and_must_be_the_encoders() {
    let with = |extra: &str| {
        let VideoEncoder::Nvenc(nvenc) = nvenc(true) else { unreachable!() };
        line(VideoEncoder::Nvenc(Nvenc { extra: vec![extra.into()], ..nvenc }))
    };
    assert!(with("rc-lookahead=16").unwrap().contains("topleft -rc-lookahead 16 -bsf:v"));
    assert!(with("compression_level=4").unwrap().contains(" -compression_level 4 "));
    for alien in ["f=null", "y=1", "i=/etc/passwd", "rc=crf"] {
        assert!(with(alien).unwrap_err().option.starts_with('-'), "{alien}");
    }
}

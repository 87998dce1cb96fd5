"""Names and shapes of a model of two levels as the original code writes them: enough to tell its kind, and to open."""

WIDTH = 64


def resnet(name, before, after, told=4 * WIDTH):
    shapes = {f"{name}.in_layers.0": (before,), f"{name}.in_layers.2": (after, before, 3, 3)}
    shapes |= {f"{name}.emb_layers.1": (after, told), f"{name}.out_layers.0": (after,)}
    shapes |= {f"{name}.out_layers.3": (after, after, 3, 3)}
    return shapes | ({f"{name}.skip_connection": (after, before, 1, 1)} if before != after else {})


def transformer(name, width, context, linear):
    block = f"{name}.transformer_blocks.0"
    square, other = (width, width), (width, context)
    shapes = {f"{name}.norm": (width,), f"{name}.proj_in": square, f"{name}.proj_out": square}
    shapes |= {} if linear else {f"{name}.{one}": (*square, 1, 1) for one in ("proj_in", "proj_out")}
    for layer, seen in (("attn1", square), ("attn2", other)):
        shapes |= {f"{block}.{layer}.to_q": square, f"{block}.{layer}.to_out.0": square}
        shapes |= {f"{block}.{layer}.to_k": seen, f"{block}.{layer}.to_v": seen}
    shapes |= {f"{block}.norm{index}": (width,) for index in (1, 2, 3)}
    return shapes | {f"{block}.ff.net.0.proj": (8 * width, width), f"{block}.ff.net.2": (width, 4 * width)}


def unet(context=WIDTH, *, linear=False, channels=4, told=None, guided=False, middle=True):
    w, w2 = WIDTH, 2 * WIDTH
    shapes = {"input_blocks.0.0": (w, channels, 3, 3), "time_embed.0": (4 * w, w), "time_embed.2": (4 * w, 4 * w)}
    shapes |= {"label_emb.0.0": (4 * w, told), "label_emb.0.2": (4 * w, 4 * w)} if told else {}
    shapes |= {"time_embed.cond_proj": (w, 16)} if guided else {}
    shapes |= resnet("input_blocks.1.0", w, w) | transformer("input_blocks.1.1", w, context, linear)
    shapes |= {"input_blocks.2.0.op": (w, w, 3, 3)} | resnet("input_blocks.3.0", w, w2)
    shapes |= resnet("middle_block.0", w2, w2)
    if middle:
        shapes |= transformer("middle_block.1", w2, context, linear) | resnet("middle_block.2", w2, w2)
    shapes |= resnet("output_blocks.0.0", 2 * w2, w2) | resnet("output_blocks.1.0", w2 + w, w2)
    shapes |= {"output_blocks.1.1.conv": (w2, w2, 3, 3)}
    shapes |= resnet("output_blocks.2.0", w2 + w, w) | transformer("output_blocks.2.1", w, context, linear)
    shapes |= resnet("output_blocks.3.0", 2 * w, w) | transformer("output_blocks.3.1", w, context, linear)
    return biased(shapes | {"out.0": (w,), "out.2": (4, w, 3, 3)}, without=(".to_q", ".to_k", ".to_v", "cond_proj"))


def vae():
    def block(name, before, after):
        shapes = {f"{name}.norm1": (before,), f"{name}.conv1": (after, before, 3, 3)}
        shapes |= {f"{name}.norm2": (after,), f"{name}.conv2": (after, after, 3, 3)}
        return shapes | ({f"{name}.nin_shortcut": (after, before, 1, 1)} if before != after else {})

    def middle(half):
        shapes = block(f"{half}.mid.block_1", 64, 64) | block(f"{half}.mid.block_2", 64, 64)
        shapes |= {f"{half}.mid.attn_1.{one}": (64, 64, 1, 1) for one in ("q", "k", "v", "proj_out")}
        return shapes | {f"{half}.mid.attn_1.norm": (64,), f"{half}.norm_out": (64 if half == "encoder" else 32,)}

    shapes = {"encoder.conv_in": (32, 3, 3, 3), "encoder.conv_out": (8, 64, 3, 3), "decoder.conv_in": (64, 4, 3, 3)}
    shapes |= {"decoder.conv_out": (3, 32, 3, 3), "quant_conv": (8, 8, 1, 1), "post_quant_conv": (4, 4, 1, 1)}
    shapes |= middle("encoder") | middle("decoder")
    for level in range(4):
        width, before = 64 if level else 32, 64 if level > 1 else 32
        shapes |= block(f"encoder.down.{level}.block.0", before, width)
        shapes |= block(f"decoder.up.{level}.block.0", 64, width) | block(f"decoder.up.{level}.block.1", width, width)
        shapes |= {f"encoder.down.{level}.downsample.conv": (width, width, 3, 3)} if level < 3 else {}
        shapes |= {f"decoder.up.{level}.upsample.conv": (width, width, 3, 3)} if level else {}
    return biased(shapes)


def clip(width=WIDTH, layers=2):
    shapes = {}
    for index in range(layers):
        name = f"encoder.layers.{index}"
        shapes |= {f"{name}.self_attn.{one}": (width, width) for one in ("q_proj", "k_proj", "v_proj", "out_proj")}
        shapes |= {f"{name}.mlp.fc1": (2 * width, width), f"{name}.mlp.fc2": (width, 2 * width)}
        shapes |= {f"{name}.layer_norm1": (width,), f"{name}.layer_norm2": (width,)}
    found = biased(shapes | {"final_layer_norm": (width,)})
    found |= {"embeddings.token_embedding.weight": (49408, width), "embeddings.position_embedding.weight": (77, width)}
    return {f"text_model.{name}": shape for name, shape in found.items()}


def openclip(width=WIDTH, layers=3):
    shapes = {}
    for index in range(layers):
        name = f"transformer.resblocks.{index}"
        shapes |= {f"{name}.ln_1": (width,), f"{name}.ln_2": (width,), f"{name}.attn.out_proj": (width, width)}
        shapes |= {f"{name}.mlp.c_fc": (2 * width, width), f"{name}.mlp.c_proj": (width, 2 * width)}
    found = biased(shapes | {"ln_final": (width,)})
    for index in range(layers):
        name = f"transformer.resblocks.{index}.attn.in_proj_"
        found |= {f"{name}weight": (3 * width, width), f"{name}bias": (3 * width,)}
    found |= {"token_embedding.weight": (49408, width), "positional_embedding": (77, width)}
    return found | {"text_projection": (width, width), "logit_scale": ()}


def biased(shapes, without=()):
    """Layers' weights and biases by their full names."""
    found = {f"{name}.weight": shape for name, shape in shapes.items()}
    return found | {f"{name}.bias": shape[:1] for name, shape in shapes.items() if not name.endswith(tuple(without))}


def under(prefix, shapes):
    return {f"{prefix}.{name}": shape for name, shape in shapes.items()}


def sd1(**changes):
    return under("model.diffusion_model", unet(**changes)) | under("first_stage_model", vae()) | SD1_TEXT


def sd2(**changes):
    return (
        under("model.diffusion_model", unet(linear=True, **changes))
        | under("first_stage_model", vae())
        | under("cond_stage_model.model", openclip())
    )


def xl(**changes):
    changes = {"told": 6 * 256 + 2 * WIDTH, "context": 3 * WIDTH, "linear": True} | changes
    return (
        under("model.diffusion_model", unet(**changes))
        | under("first_stage_model", vae())
        | under("conditioner.embedders.0.transformer", clip())
        | under("conditioner.embedders.1.model", openclip(2 * WIDTH))
    )


def refiner():
    return (
        under("model.diffusion_model", unet(told=5 * 256 + 2 * WIDTH, context=2 * WIDTH, linear=True))
        | under("first_stage_model", vae())
        | under("conditioner.embedders.0.model", openclip(2 * WIDTH))
    )


SD1_TEXT = under("cond_stage_model.transformer", clip())


def taesd(half, width=8, channels=4):
    """Half a tiny autoencoder as its author writes it, with a block at each of four sizes."""
    conv, own = (width, width, 3, 3), {"encoder": (channels, 3), "decoder": (3, channels)}[half]
    blocks = (1, 3, 5, 7) if half == "encoder" else (3, 6, 9, 12)
    shapes = {f"{at}.conv.{layer}": conv for at in blocks for layer in (0, 2, 4)}
    first, last = (0, 8) if half == "encoder" else (1, 13)
    shapes = biased(shapes | {f"{first}": (width, own[1], 3, 3), f"{last}": (own[0], width, 3, 3)})
    return shapes | {f"{at}.weight": conv for at in ((2, 4, 6) if half == "encoder" else (5, 8, 11))}

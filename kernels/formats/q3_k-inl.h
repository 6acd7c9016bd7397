// Included once per target.
#if defined(QUERN_KERNELS_FORMATS_Q3_K_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#undef QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#else
#define QUERN_KERNELS_FORMATS_Q3_K_INL_H_
#endif

#include <algorithm>
#include <cstddef>

#include "kernels/formats/final_levels-inl.h"
#include "kernels/formats/legacy-inl.h"
#include "kernels/formats/q3_k_moves-inl.h"

HWY_BEFORE_NAMESPACE();
namespace quern {
namespace HWY_NAMESPACE {

// x = d * (scale[j] - 32) * (q - 4) for the sixteen sub-blocks j of 16 weights. The lower two bits
// of the codes lie as in q2_K; bit b of hmask[i] is the third bit of weight 32 * b + i.
struct Q3_K {
  static constexpr Type kType = Type::kQ3_K;
  using Block = BlockQ3_K;
  static constexpr int kElems = 256;
  static constexpr bool kRowMean = false;

  template <class L>
  static QUERN_LANE void Encode(const Tile<L>& tile) {
    if (tile.weighted) return Encoder<L>(tile).FitWeighted();
    // More lanes come to EncodePlain.
    if constexpr (L::kMax == 1) Encoder<L>(tile).FitPlain();
  }

  // All blocks that have no importance matrix, where lanes are more than one: many tiles at once.
  template <class L>
  static void EncodePlain(const float* in, int64_t blocks, uint8_t* out) {
    constexpr int64_t kBlocks = std::max(128, L::kMax);
    PlainScales<L> found[kBlocks / L::kMax];
    const float* lanes[kBlocks];
    for (int64_t first = 0; first < blocks; first += kBlocks) {
      const int64_t count = std::min(blocks - first, kBlocks);
      for (int64_t b = 0; b < kBlocks; ++b) {
        lanes[b] = in + (first + std::min(b, count - 1)) * kElems;
      }
      PlainFit<L> fit;
      for (int64_t b = 0; b < count; b += L::kMax) fit.Add(lanes + b, found[b / L::kMax]);
      fit.Finish();
      for (int64_t b = 0; b < count; b += L::kMax) {
        Tile<L> tile{};
        tile.blocks = lanes + b;
        tile.out = {out + static_cast<size_t>(first + b) * sizeof(Block), sizeof(Block),
                    static_cast<int>(std::min<int64_t>(L::kMax, count - b))};
        Encoder<L>(tile).WritePlain(found[b / L::kMax]);
      }
    }
  }

  static QUERN_LANE void Decode(const Block& block, float* out) {
    const float d = HalfToFloat(block.d);
    for (int j = 0; j < 16; ++j) {
      const int low = j < 8 ? block.scales[j] & 15 : block.scales[j - 8] >> 4;
      const int high = (block.scales[8 + j % 4] >> (j / 4 * 2)) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      const uint8_t* qs = block.qs + 32 * (j / 8) + 16 * (j % 2);
      const uint8_t* hmask = block.hmask + 16 * (j % 2);
      for (int i = 0; i < 16; ++i) {
        const int code = ((qs[i] >> (j / 2 % 4 * 2)) & 3) | ((hmask[i] >> (j / 2)) & 1) << 2;
        out[16 * j + i] = scale * static_cast<float>(code - 4);
      }
    }
  }

 private:
  template <class L>
  class Encoder {
    using F = typename L::F;
    using I = typename L::I;

   public:
    explicit QUERN_LANE Encoder(const Tile<L>& tile) : tile_(tile) {}

    // Of a single lane.
    QUERN_LANE void FitPlain() {
      PlainScales<L> found;
      for (int j = 0; j < 16; ++j) {
        const auto x = tile_.x.template Sub<16>(16 * j);
        const auto fit = MovedLevels<L>(x);
        found.widest.Set(j, fit.extreme.magnitude);
        found.scale.Set(j, fit.Scale());
      }
      WritePlain(found);
    }

    QUERN_LANE void WritePlain(const PlainScales<L>& found) {
      const F max = FindExtreme<L, 16>(found.scale).value;
      const auto none = max == L::Set(0);
      const F inverse = L::Set(-32) / max;
      Ints<L, 16> rounded;
      for (int j = 0; j < 16; ++j) {
        const I level = Clamp<L>(NearestInt<L>(inverse * found.scale[j]), -32, 31) + L::SetI(32);
        rounded.Set(j, L::Select(none, L::SetI(0), level));
      }
      const F d = L::Select(none, L::Set(0), L::Set(1) / inverse);
      Write(rounded, d, found.widest, [&](int j, Ints<L, 16>& codes) HWY_ATTR {
        const auto levels = [&](const auto& x) HWY_ATTR {
          const auto fit = MovedLevels<L>(x);
          for (int i = 0; i < 16; ++i) codes.Set(i, fit.Code(i));
        };
        if constexpr (L::kMax == 1) {
          levels(tile_.x.template Sub<16>(16 * j));
        } else {
          Floats<L, 16> scratch;
          levels(LoadSubBlock<L>(tile_.blocks, j, scratch));
        }
      });
    }

    QUERN_LANE void FitWeighted() {
      Floats<L, 16> weights, scale, sum, widest, inverse;
      Ints<L, 16> offset;
      const F mean = SuperBlockMean<L>(tile_.x, 2);
      for (int j = 0; j < 16; ++j) {
        const auto x = tile_.x.template Sub<16>(16 * j);
        WeighSquares<L, 16>(tile_.importance.template Sub<16>(16 * j), x, mean, weights);
        F total = L::Set(0);
        for (int i = 0; i < 16; ++i) total = total + weights[i];
        sum.Set(j, total);
        const SymmetricFit<L> fit = FitSymmetric<L, 16, 4>(x, weights);
        scale.Set(j, fit.scale);
        inverse.Set(j, fit.inverse);
        offset.Set(j, fit.offset);
        widest.Set(j, fit.widest);
      }
      // A matrix with huge numbers makes infinite sums, and scales that are no numbers.
      const SymmetricFit<L> fit = FitSymmetric<L, 16, 32, false>(scale, sum);
      Ints<L, 16> rounded;
      for (int j = 0; j < 16; ++j) {
        rounded.Set(j, SymmetricLevel<L, 32>(fit.inverse, fit.offset, scale[j]));
      }
      Write(rounded, fit.scale, widest, [&](int j, Ints<L, 16>& codes) HWY_ATTR {
        const auto x = tile_.x.template Sub<16>(16 * j);
        for (int i = 0; i < 16; ++i) {
          codes.Set(i, SymmetricLevel<L, 4>(inverse[j], offset[j], x[i]));
        }
      });
    }

   private:
    // The sub-blocks' scales, 0 to 63, the scale of the scales, and the levels that they give.
    template <class Searched>
    QUERN_LANE void Write(const Ints<L, 16>& scale, F d, const Floats<L, 16>& widest,
                          const Searched& searched) {
      WriteScales(scale);
      const I half_d = ToHalf<L>(d);
      tile_.out.Half(offsetof(Block, d), half_d);
      FinalLevels<L, 16, -4, 3, false> final_levels;
      for (int j = 0; j < 16; ++j) {
        const F step = FromHalf<L>(half_d) * L::ToFloat(scale[j] - L::SetI(32));
        final_levels.Set(j, step, L::Set(0), widest[j]);
      }
      final_levels.Write(tile_, searched, [](const uint8_t* codes, uint8_t* block) {
        JoinTops<2>(codes, block + offsetof(Block, hmask));
        JoinPairs<0>(codes, block + offsetof(Block, qs));
        JoinPairs<0>(codes + 128, block + offsetof(Block, qs) + 32);
      });
    }

    QUERN_LANE void WriteScales(const Ints<L, 16>& scale) {
      PackNibbles<L, 8>(tile_.out, offsetof(Block, scales), scale, 0, 8);
      const auto upper = [&](int k) HWY_ATTR {
        const auto two = [&](int j) HWY_ATTR { return L::template Shr<4>(scale[j]) & L::SetI(3); };
        return two(k) | L::template Shl<2>(two(k + 4)) | L::template Shl<4>(two(k + 8)) |
               L::template Shl<6>(two(k + 12));
      };
      tile_.out.Word(offsetof(Block, scales) + 8,
                     JoinBytes<L>(upper(0), upper(1), upper(2), upper(3)));
    }

    const Tile<L>& tile_;
  };
};

}  // namespace HWY_NAMESPACE
}  // namespace quern
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
